// The timers of the conversation: how long is left, and the ringing.

import { element } from './captions.js';
import { t } from './words.js';

const RING_MS = 60000; // the daemon forgets a timer that has rung for so long
const EVERY_S = 1.4;
const NOTES = [
  [659.3, 0],
  [880, 0.18],
];

/** Events: `stop` {id} (a person ended it), `over` {name}, `change`. */
export class Timers extends EventTarget {
  #list;
  #box;
  #context;
  #timers = new Map();
  #tick = 0;
  #ring = null;

  /** @param {() => AudioContext | null} context */
  constructor(box, list, context) {
    super();
    this.#box = box;
    this.#list = list;
    this.#context = context;
  }

  get count() {
    return this.#timers.size;
  }

  get ringing() {
    return [...this.#timers.values()].some((timer) => timer.ringing);
  }

  /** End what rings. */
  calm() {
    for (const timer of [...this.#timers.values()]) {
      if (timer.ringing) this.#stop(timer.id);
    }
  }

  /** @param {{event: string, id: string, name: ?string, left_s: ?number, running: ?boolean}} message */
  take({ event, id, name, left_s, running = true }) {
    if (event === 'cancelled') this.#timers.delete(id);
    else if (event === 'finished') {
      const timer = this.#timers.get(id) ?? { id, name };
      this.#timers.set(id, Object.assign(timer, { ringing: true, since: performance.now() }));
      this.dispatchEvent(new CustomEvent('over', { detail: { name: timer.name || t('timer') } }));
    } else {
      const due = performance.now() + 1000 * left_s;
      const timer = this.#timers.get(id) ?? {};
      this.#timers.set(id, Object.assign(timer, { id, name, running, left_s, due, ringing: false }));
    }
    this.draw();
  }

  /** All are gone. */
  clear() {
    this.#timers.clear();
    this.draw();
  }

  #stop(id) {
    this.#timers.delete(id);
    this.dispatchEvent(new CustomEvent('stop', { detail: { id } }));
    this.draw();
  }

  /** Draw them as they stand now. */
  draw() {
    clearTimeout(this.#tick);
    for (const timer of this.#timers.values()) {
      if (timer.ringing && performance.now() - timer.since > RING_MS) this.#timers.delete(timer.id);
    }
    this.#box.hidden = this.#timers.size === 0;
    const rows = [...this.#timers.values()].map((timer) => this.#row(timer));
    for (const row of [...this.#list.children]) {
      if (!rows.includes(row)) row.remove();
    }
    rows.forEach((row, at) => {
      if (this.#list.children[at] !== row) this.#list.insertBefore(row, this.#list.children[at] ?? null);
    });
    if (this.#timers.size > 0) this.#tick = setTimeout(() => this.draw(), 250);
    this.#sound();
    this.dispatchEvent(new Event('change'));
  }

  /** A row stays the same element while its timer lives: who has its button in focus keeps it. */
  #row(timer) {
    timer.row ??= this.#newRow(timer);
    const name = timer.name || t('timer');
    const [named, left, stop] = timer.row.children;
    timer.row.className = timer.ringing ? 'ringing' : '';
    put(named, name);
    put(left, this.#leftOf(timer));
    put(stop, t('stop_short'));
    if (stop.getAttribute('aria-label') !== t('timer_stop', name)) stop.setAttribute('aria-label', t('timer_stop', name));
    return timer.row;
  }

  #newRow(timer) {
    const row = element('li');
    const stop = element('button');
    stop.type = 'button';
    stop.addEventListener('click', () => this.#stop(timer.id));
    row.append(element('span', 'name'), element('span', 'left'), stop);
    return row;
  }

  #leftOf(timer) {
    if (timer.ringing) return t('ringing');
    const left_s = timer.running ? Math.max(0, Math.ceil((timer.due - performance.now()) / 1000)) : timer.left_s;
    const hours = Math.floor(left_s / 3600);
    const parts = [Math.floor(left_s / 60) % 60, left_s % 60];
    if (hours > 0) parts.unshift(hours);
    const text = parts.map((part, at) => (at === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
    return timer.running ? text : `${text} (${t('paused')})`;
  }

  #sound() {
    if (!this.ringing) {
      this.#ring?.stop();
      this.#ring = null;
      return;
    }
    const context = this.#context();
    if (context !== null) this.#ring ??= new Ring(context);
  }
}

/** Two soft notes, again and again. */
class Ring {
  #context;
  #gain;
  #next;
  #timer;

  constructor(context) {
    this.#context = context;
    this.#gain = new GainNode(context);
    this.#gain.connect(context.destination);
    this.#next = context.currentTime;
    context.resume();
    this.#plan();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#gain.gain.setTargetAtTime(0, this.#context.currentTime, 0.02);
    setTimeout(() => this.#gain.disconnect(), 200);
  }

  #plan() {
    const now = this.#context.currentTime;
    this.#next = Math.max(this.#next, now);
    while (this.#next < now + 2 * EVERY_S) {
      for (const [frequency, after] of NOTES) this.#note(frequency, this.#next + after);
      this.#next += EVERY_S;
    }
    this.#timer = setTimeout(() => this.#plan(), 1000 * EVERY_S);
  }

  #note(frequency, at) {
    const note = new OscillatorNode(this.#context, { type: 'sine', frequency });
    const shape = new GainNode(this.#context, { gain: 0 });
    note.connect(shape).connect(this.#gain);
    shape.gain.setValueAtTime(0, at);
    shape.gain.linearRampToValueAtTime(0.25, at + 0.02);
    shape.gain.exponentialRampToValueAtTime(0.001, at + 0.9);
    note.start(at);
    note.stop(at + 1);
  }
}

function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
