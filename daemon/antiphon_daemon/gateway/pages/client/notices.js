// Sentences that stay until they are read, or no longer true.

import { element } from './captions.js';
import { t } from './words.js';

/** One for each key; said anew when the page speaks another language. */
export class Notices {
  #box;
  #shown = new Map();

  constructor(box) {
    this.#box = box;
  }

  /**
   * @param {string} key a notice of the same key is replaced
   * @param {() => {text: string, small: ?string, more: ?{title: string, lines: string[]}}} say
   * @param {?{name: string, act: () => void}} action a button beside the one that closes it
   */
  show(key, say, action = null) {
    this.#shown.set(key, { say, action });
    this.#draw();
  }

  hide(key) {
    if (this.#shown.delete(key)) this.#draw();
  }

  /** Say them again. */
  draw() {
    this.#draw();
  }

  #draw() {
    const before = new Map([...this.#box.children].map((one) => [one.dataset.key, one]));
    const now = [...this.#shown].map(([key, { say, action }]) => {
      const said = say();
      const text = JSON.stringify(said);
      const old = before.get(key);
      return old?.dataset.said === text ? old : this.#made(key, said, text, action);
    });
    this.#box.replaceChildren(...now);
  }

  #made(key, { text, small, more }, said, action) {
    const box = element('div', 'notice');
    box.dataset.key = key;
    box.dataset.said = said;
    box.setAttribute('role', 'alert');
    const words = element('div', '', text);
    if (small) {
      const quoted = element('small', '', small);
      quoted.lang = 'en';
      words.append(quoted);
    }
    if (more) {
      const details = element('details');
      const list = element('ul');
      list.append(...more.lines.map((line) => element('li', '', line)));
      details.append(element('summary', '', more.title), list);
      words.append(details);
    }
    box.append(words);
    if (action) box.append(button(t(action.name), action.act));
    box.append(button(t('close'), () => this.hide(key), 'quiet'));
    return box;
  }
}

function button(name, act, className = '') {
  const made = element('button', className, name);
  made.type = 'button';
  made.addEventListener('click', act);
  return made;
}
