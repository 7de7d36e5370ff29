// What the daemon tells, over `/dashboard/events`. Read by fetch, not by EventSource: that cannot send a token.

import { shown } from './storage.js';

const RETRY_S = [1, 2, 4, 8, 10];
// The daemon tells its state every two seconds: a connection that is silent for so long is dead.
const SILENT_MS = 10_000;

/**
 * Events: `told` (kind, data), `state` (connecting, live, lost, refused, token), with `why` and `retry_s` where there
 * is something to say. Connects again by itself, but for a token that is missing or wrong.
 */
export class Feed extends EventTarget {
  #token;
  #stopping = null;
  #tries = 0;
  #timer = 0;
  #ending = '';

  /** @param {() => ?string} token gives the token that is to be shown, if any */
  constructor(token) {
    super();
    this.#token = token;
    addEventListener('online', () => this.again());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#timer) this.again();
    });
  }

  /** Connect now, unless that is done already. */
  again() {
    if (this.#stopping) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#listen();
  }

  /** @returns {Promise<?object>} all there is to show, anew; null where that cannot be had */
  async whole() {
    try {
      const answer = await fetch('dashboard/data', { headers: shown(this.#token()), cache: 'no-store' });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  }

  async #listen() {
    this.#stopping = new AbortController();
    this.#say('connecting');
    let state = 'lost';
    let why = '';
    try {
      const answer = await fetch('dashboard/events', { headers: shown(this.#token()), cache: 'no-store', signal: this.#stopping.signal });
      if (answer.ok) await this.#read(answer.body);
      else if (answer.status === 401) state = 'token';
      else {
        state = 'refused';
        why = (await answer.json().catch(() => null))?.error?.message ?? `HTTP ${answer.status}`;
      }
    } catch {
      // it broke: what was shown stays, and is said to be old
    }
    this.#stopping = null;
    if (state === 'token') {
      this.#say('token');
      return;
    }
    const wait = RETRY_S[Math.min(this.#tries, RETRY_S.length - 1)];
    this.#tries += 1;
    this.#timer = setTimeout(() => this.again(), wait * 1000 * (0.9 + 0.2 * Math.random()));
    this.#say(state, { why: why || this.#ending, retry_s: wait });
  }

  async #read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    let silent = 0;
    const watch = () => {
      clearTimeout(silent);
      silent = setTimeout(() => this.#stopping?.abort(), SILENT_MS);
    };
    watch();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        watch();
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) this.#take(block);
      }
    } finally {
      clearTimeout(silent);
    }
  }

  #take(block) {
    const fields = Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
    const data = JSON.parse(fields.data);
    if (fields.event === 'goodbye') this.#ending = 'goodbye';
    if (fields.event === 'snapshot') {
      this.#tries = 0;
      this.#ending = '';
      this.#say('live');
    }
    this.dispatchEvent(new CustomEvent('told', { detail: { kind: fields.event, data } }));
  }

  #say(state, more = {}) {
    this.dispatchEvent(new CustomEvent('state', { detail: { state, ...more } }));
  }
}
