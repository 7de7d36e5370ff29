// Making elements. All text goes in as text: nothing that anybody said can become markup.

const SVG = 'http://www.w3.org/2000/svg';

/** @returns {HTMLElement} an element with a class, holding `children` (elements or text) */
export function element(tag, name = '', ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

/** @returns {SVGElement} an element of a drawing */
export function drawn(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @returns {HTMLElement} */
export const at = (id) => document.getElementById(id);

/** Put rows into a table's body without taking away those that stay: a reader's place in it is kept. */
export function fill(body, rows) {
  rows.forEach((cells, place) => {
    const row = body.rows[place] ?? body.insertRow();
    cells.forEach((cell, column) => {
      let there = row.cells[column];
      if (!there) {
        there = document.createElement(column === 0 ? 'th' : 'td');
        if (column === 0) there.scope = 'row';
        row.append(there);
      }
      const { text, name = '', parts = [text] } = typeof cell === 'object' ? cell : { text: cell };
      there.className = name;
      there.replaceChildren(...parts);
    });
  });
  while (body.rows.length > rows.length) body.deleteRow(-1);
}
