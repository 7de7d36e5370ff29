// The WebSocket: opened, kept, and opened again with patience when it is lost.

import { shown } from './storage.js';

const LOOK_MS = 8000; // for what this daemon is
const OPEN_MS = 10000; // for its hello
const PING_MS = 15000;
const FIRST_MS = 500; // before the second attempt; each wait is twice as long as the one before
const LONGEST_MS = 15000;
const MOST_WAITING = 64000; // bytes: two seconds of speech that the network did not take; what is older than that is left out

/** The daemon does not let this page in; `code` is its own (see docs/websocket.md). */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The daemon is there, and does not answer now. */
class Crowded extends Error {}

/**
 * Phases: off, connecting, on, waiting (it was lost, or not found; another attempt comes by itself).
 *
 * Events: `phase` {phase, wait_s, again, why}, `house` (what `GET /` says), `message`, `sound` (ArrayBuffer), `refused`
 * {code, message}: no attempt comes by itself. `why` it waits: lost, goodbye, unreachable, crowded, closed.
 */
export class Connection extends EventTarget {
  phase = 'off';
  #base = new URL('.', location.href);
  #query;
  #token;
  #socket = null;
  #attempt = 0; // rises with each: what an old one still does is ignored
  #failures = 0;
  #was = false; // it was on before
  #timer = 0;
  #heard = 0;
  #leaving = false; // the daemon has said goodbye

  /**
   * @param {() => Object} query what the WebSocket is asked for
   * @param {() => string | null} token
   */
  constructor(query, token) {
    super();
    this.#query = query;
    this.#token = token;
  }

  /**
   * Ask what this daemon is: its languages and voices.
   * @throws {Refused} it does not let us in
   * @throws {Error} it cannot be reached, or does not answer now
   */
  async look() {
    const headers = shown(this.#token());
    const answer = await fetch(this.#base, { headers, cache: 'no-store', signal: AbortSignal.timeout(LOOK_MS) });
    const body = await answer.json();
    if (answer.status >= 500 || answer.status === 429) throw new Crowded(body.error?.message);
    if (!answer.ok) throw new Refused(body.error?.code ?? String(answer.status), body.error?.message ?? '');
    this.#tell('house', body);
    return body;
  }

  open() {
    this.#failures = 0;
    this.#was = false;
    this.#try();
  }

  close() {
    this.#drop();
    this.#become('off');
  }

  /** Try now what would be tried later. */
  hurry() {
    if (this.phase === 'waiting') this.#try();
  }

  /** Find out whether the other side is still there. */
  check() {
    if (this.phase !== 'on') return;
    const since = performance.now();
    this.send({ type: 'ping' });
    const attempt = this.#attempt;
    setTimeout(() => {
      if (attempt === this.#attempt && this.#heard < since) this.#lost();
    }, OPEN_MS);
  }

  send(message) {
    if (this.phase === 'on') this.#socket.send(JSON.stringify(message));
  }

  /** @param {ArrayBuffer} pcm */
  sound(pcm) {
    if (this.phase === 'on' && this.#socket.bufferedAmount < MOST_WAITING) this.#socket.send(pcm);
  }

  async #try() {
    this.#drop();
    const attempt = this.#attempt;
    this.#become('connecting', { again: this.#was });
    try {
      await this.look();
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error instanceof Refused) this.#refuse(error);
      else this.#lost(error instanceof Crowded ? 'crowded' : 'unreachable');
      return;
    }
    if (attempt === this.#attempt) this.#connect();
  }

  #connect() {
    const url = new URL('ws', this.#base);
    url.protocol = url.protocol.replace('http', 'ws');
    for (const [name, value] of Object.entries(this.#query())) {
      if (value) url.searchParams.set(name, value);
    }
    if (this.#token()) url.searchParams.set('token', this.#token());
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = () => this.#lost();
    this.#timer = setTimeout(() => this.#lost(), OPEN_MS);
  }

  #take(data) {
    this.#heard = performance.now();
    if (data instanceof ArrayBuffer) {
      this.#tell('sound', data);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === 'hello') {
      clearTimeout(this.#timer);
      this.#timer = setInterval(() => this.check(), PING_MS);
      this.#failures = 0;
      this.#become('on', { again: this.#was });
      this.#was = true;
    } else if (message.type === 'goodbye') this.#leaving = true;
    this.#tell('message', message);
  }

  async #lost(why = 'unreachable') {
    if (this.phase === 'on') why = this.#leaving ? 'goodbye' : 'lost';
    const shut = this.#socket !== null && this.phase === 'connecting';
    this.#leaving = false;
    this.#drop();
    const attempt = this.#attempt;
    if (shut && (await this.#healthy())) why = 'closed';
    if (attempt !== this.#attempt) return;
    const wait_ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures++) * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#try(), wait_ms);
    this.#become('waiting', { wait_s: wait_ms / 1000, again: this.#was, why });
  }

  /** Whether it is well: a page is not told why a WebSocket was not taken. */
  async #healthy() {
    try {
      const headers = shown(this.#token());
      const answer = await fetch(new URL('health', this.#base), { headers, signal: AbortSignal.timeout(LOOK_MS) });
      return answer.ok;
    } catch {
      return false;
    }
  }

  #refuse(error) {
    this.#drop();
    this.#become('off');
    this.#tell('refused', { code: error.code, message: error.message });
  }

  /** Forget the socket and whatever is planned. */
  #drop() {
    this.#attempt++;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #become(phase, more = {}) {
    this.phase = phase;
    this.#tell('phase', { phase, wait_s: 0, again: false, why: '', ...more });
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
