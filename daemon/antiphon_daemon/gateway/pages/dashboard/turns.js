// The list of turns: each a line with its waterfall, which opens to a table of the same.

import { at, element } from './dom.js';
import { clock, ms } from './figures.js';
import { Axis, STAGES, bars, waterfall } from './waterfall.js';
import { t } from './words.js';

/** The newest turns, newest first; at most as many as the daemon keeps. */
export class Turns {
  #rows = new Map();
  #axis = null;
  #most;

  constructor(most = 100) {
    this.#most = most;
  }

  /** Show exactly these turns. */
  replace(turns) {
    this.#rows.clear();
    at('turns').replaceChildren();
    for (const turn of turns) this.#put(turn);
    this.#settle(true);
  }

  /** Show a turn that is new, or of which more is known. */
  show(turn) {
    this.#put(turn);
    this.#settle(false);
  }

  /** Draw all again, as when the page speaks another language. */
  draw() {
    this.#settle(true);
  }

  #put(turn) {
    const there = this.#rows.get(turn.number);
    if (there) {
      there.turn = turn;
      there.draw(this.#axis);
      return;
    }
    const row = new Row(turn);
    const older = [...this.#rows.keys()].filter((number) => number < turn.number);
    const next = older.length > 0 ? this.#rows.get(Math.max(...older)).item : null;
    this.#rows.set(turn.number, row);
    at('turns').insertBefore(row.item, next);
    while (this.#rows.size > this.#most) {
      const oldest = Math.min(...this.#rows.keys());
      this.#rows.get(oldest).item.remove();
      this.#rows.delete(oldest);
    }
    if (this.#axis) row.draw(this.#axis);
  }

  #settle(all) {
    const axis = new Axis([...this.#rows.values()].map((row) => row.turn));
    if (all || !axis.same(this.#axis)) {
      this.#axis = axis;
      drawAxis(axis);
      for (const row of this.#rows.values()) row.draw(axis);
    }
    at('turns-none').hidden = this.#rows.size > 0;
    for (const id of ['axis', 'legend', 'turns']) at(id).hidden = this.#rows.size === 0;
  }
}

/** One turn. What a reader has opened stays open, and the focus where it is, while more becomes known. */
class Row {
  constructor(turn) {
    this.turn = turn;
    this.item = element('li', 'turn');
    this.line = element('summary');
    this.body = element('div', 'more');
    this.details = element('details', '', this.line, this.body);
    this.item.append(this.details);
  }

  draw(axis) {
    const { turn } = this;
    const first = turn.timeline.first_audio;
    const time = element('time', 'when', clock(turn.at));
    time.dateTime = turn.at;
    const who = element('span', 'who', element('span', 'kind', t(`kind_${turn.peer.kind}`)), ' ', element('span', 'name', turn.peer.name));
    const sound = element('span', 'first', element('span', 'unseen', `${t('first_sound')} `), ms(first));
    const outcome = element('span', `outcome ${turn.outcome}`, t(`outcome_${turn.outcome}`));
    this.line.replaceChildren(time, who, waterfall(turn, axis), sound, outcome);
    this.body.replaceChildren(...facts(turn), stages(turn));
  }
}

function facts(turn) {
  const made = [];
  if (turn.failure) made.push(quoted('fault', turn.failure));
  for (const who of ['said', 'answered']) {
    if (turn[who]) made.push(element('p', 'words', element('span', 'soft', `${t(who)} `), element('bdi', '', turn[who])));
  }
  const known = [t(turn.typed ? 'was_typed' : 'was_spoken')];
  if (turn.hit !== null) known.push(t(turn.hit ? 'was_hit' : 'was_no_hit'));
  if (turn.drafts) known.push(t('drafts', turn.drafts));
  if (turn.wasted_ms) known.push(t('wasted', ms(turn.wasted_ms)));
  if (turn.reply_ms !== null) known.push(t('reply_lasts', ms(turn.reply_ms)));
  if (turn.heard_ms !== null) known.push(t('reply_heard', ms(turn.heard_ms)));
  made.push(element('p', 'soft', known.join(' · ')));
  return made;
}

/** @returns {HTMLElement} what the daemon says, which is English */
function quoted(name, text) {
  const made = element('p', name, text);
  made.lang = 'en';
  return made;
}

function stages(turn) {
  const table = element('table', 'table');
  Object.assign(table.createCaption(), { className: 'soft', textContent: t(turn.typed ? 'from_asking' : 'from_speech') });
  const head = table.createTHead().insertRow();
  for (const [key, name] of [['stage', ''], ['from', 'number'], ['to', 'number'], ['took', 'number']]) {
    const cell = element('th', name, t(key));
    cell.scope = 'col';
    head.append(cell);
  }
  const body = table.createTBody();
  const first = turn.stages.first_audio;
  const rows = bars(turn).sort((a, b) => STAGES.indexOf(a[0]) - STAGES.indexOf(b[0]));
  if (first) rows.push(['first_audio', ...first]);
  for (const [stage, begin, end] of rows) {
    const row = body.insertRow();
    const name = element('th', '', element('span', `key ${stage}`), t(`stage_${stage}`));
    name.scope = 'row';
    row.append(name);
    for (const value of [begin, end, end - begin]) row.append(element('td', 'number', ms(value)));
  }
  return element('div', 'wide', table);
}

function drawAxis(axis) {
  const marks = axis.ticks.map((tick) => {
    const mark = element('span', 'mark', ms(tick));
    mark.style.setProperty('--at', axis.place(tick));
    return mark;
  });
  at('axis').replaceChildren(element('div', 'scale', ...marks));
}

/** Write what each colour means. */
export function drawLegend() {
  at('legend').replaceChildren(...STAGES.map((stage) => element('li', '', element('span', `key ${stage}`), t(`stage_${stage}`))));
}
