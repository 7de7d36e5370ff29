// Where the time of the last turn went.

import { element } from './captions.js';
import { t } from './words.js';

const STEPS = ['soft_end', 'turn_end', 'stt', 'llm_first', 'tts_first', 'first_audio', 'done'];

/** Shows the message `turn`. */
export class Waterfall {
  #brief;
  #none;
  #table;
  #more;
  #turn = null;

  constructor(brief, none, table, more) {
    this.#brief = brief;
    this.#none = none;
    this.#table = table;
    this.#more = more;
  }

  show(turn) {
    this.#turn = turn;
    this.draw();
  }

  /** Draw it again, as when the page speaks another language. */
  draw() {
    if (this.#turn === null) return;
    const { timeline, reply_ms, drafts, wasted_ms } = this.#turn;
    const first = timeline.first_audio;
    this.#brief.textContent = Number.isFinite(first) ? t('first_sound', (first / 1000).toFixed(2)) : '';
    const rows = STEPS.filter((step) => Number.isFinite(timeline[step]));
    // A long reply goes on being made while it is heard: its end would make all the rest too small to see.
    const most = Math.max(1, ...rows.filter((step) => step !== 'done').map((step) => timeline[step]));
    this.#table.tBodies[0].replaceChildren(...rows.map((step) => row(step, timeline[step], most)));
    this.#table.hidden = rows.length === 0;
    this.#none.hidden = rows.length > 0;
    const more = [t('reply_s', (reply_ms / 1000).toFixed(1))];
    if (wasted_ms > 0) more.push(t('drafts', drafts, wasted_ms));
    this.#more.textContent = more.join(' ');
  }
}

function row(step, ms, most) {
  const made = element('tr', step === 'first_audio' ? 'first' : '');
  const name = element('th', '', t(step));
  name.scope = 'row';
  const cell = element('td');
  const bar = element('div', ms > most ? 'bar beyond' : 'bar', String(ms));
  bar.style.setProperty('--at', Math.min(1, Math.max(0, ms / most)));
  cell.append(bar);
  made.append(name, cell);
  return made;
}
