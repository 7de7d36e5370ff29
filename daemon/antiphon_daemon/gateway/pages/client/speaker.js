// Plays replies: WAV files in, one after another; tells how much was heard; stops at once; ducks and swells.

import { Resampler } from './resampler.js';

const DUCKED = 0.18; // about 15 dB softer
const DUCK_S = 0.04; // time constants: softer at once, louder without haste
const SWELL_S = 0.12;
const LOOK_MS = 50;

/** Events: `position` {ms, level}, `drained` (all of a reply that has ended was played). */
export class Speaker extends EventTarget {
  #context;
  #gain;
  #sink;
  #reply = 0;
  #rate = 0;
  #resampler = null;
  #frames = 0; // of this reply, played
  #waiting = null; // for the answer to `stop`
  #ducked = false;
  #audible = true;

  /** @param {AudioContext} context; in a page that is not secure it has no worklets, and plays without. */
  constructor(context) {
    super();
    this.#context = context;
    this.#gain = new GainNode(context);
    this.#gain.connect(context.destination);
  }

  /** Make it ready to play. */
  async open(module) {
    const told = (message) => this.#told(message);
    if (this.#context.audioWorklet) {
      await this.#context.audioWorklet.addModule(module);
      this.#sink = new WorkletSink(this.#context, this.#gain, told);
    } else {
      this.#sink = new BufferSink(this.#context, this.#gain, told);
    }
  }

  /** Whether something of a reply is yet to be played. */
  playing = false;

  /** A reply begins; what is left of the one before is not played. */
  begin() {
    this.#reply++;
    this.#frames = 0;
    this.#resampler?.reset();
    this.playing = true;
    this.swell();
    this.#sink.begin(this.#reply);
  }

  /** @param {ArrayBuffer} wav a whole WAV file: int16, mono */
  add(wav) {
    if (!this.playing) return;
    const { rate, samples } = unpacked(wav);
    if (rate !== this.#rate) {
      this.#rate = rate;
      this.#resampler = new Resampler(rate, this.#context.sampleRate);
    }
    this.#give(this.#resampler.push(samples));
  }

  /** No more of this reply comes. */
  end() {
    if (!this.playing) return;
    if (this.#resampler !== null) this.#give(this.#resampler.flush());
    this.#sink.end(this.#reply);
  }

  /**
   * Fall silent now.
   * @returns {Promise<number>} how many ms of the reply were heard
   */
  async stop() {
    if (!this.playing) return this.heardMs;
    this.playing = false;
    const answered = new Promise((resolve) => (this.#waiting = resolve));
    this.#sink.stop(this.#reply);
    const late = new Promise((resolve) => setTimeout(resolve, 200)); // a context that is suspended answers nothing
    await Promise.race([answered, late]);
    return this.heardMs;
  }

  /** How many ms of the reply were heard: what the system holds back on its way to the ear is not. */
  get heardMs() {
    const behind = this.#context.outputLatency || this.#context.baseLatency || 0;
    return Math.max(0, Math.round((this.#frames / this.#context.sampleRate - behind) * 1000));
  }

  duck() {
    this.#ducked = true;
    this.#level(DUCK_S);
  }

  swell() {
    this.#ducked = false;
    this.#level(SWELL_S);
  }

  /** Whether replies are heard at all. They are played all the same, so that the conversation keeps its pace. */
  set audible(yes) {
    this.#audible = yes;
    this.#level(DUCK_S);
  }

  #level(within) {
    const level = this.#audible ? (this.#ducked ? DUCKED : 1) : 0;
    this.#gain.gain.setTargetAtTime(level, this.#context.currentTime, within);
  }

  #give(samples) {
    if (samples.length > 0) this.#sink.add(this.#reply, samples.slice());
  }

  #told({ kind, reply, frames, level }) {
    if (reply !== this.#reply) return;
    this.#frames = frames;
    if (kind === 'stopped') {
      this.#waiting?.();
      this.#waiting = null;
      return;
    }
    if (!this.playing) return;
    if (kind === 'drained') {
      this.playing = false;
      this.dispatchEvent(new Event('drained'));
    } else {
      this.dispatchEvent(new CustomEvent('position', { detail: { ms: this.heardMs, level } }));
    }
  }
}

/** Plays by an AudioWorklet. */
class WorkletSink {
  constructor(context, to, told) {
    this.node = new AudioWorkletNode(context, 'antiphon-player', { numberOfInputs: 0, outputChannelCount: [1] });
    this.node.port.onmessage = ({ data }) => told(data);
    this.node.connect(to);
  }

  begin(reply) {
    this.#say({ kind: 'begin', reply });
  }

  add(reply, samples) {
    this.node.port.postMessage({ kind: 'sound', reply, samples }, [samples.buffer]);
  }

  end(reply) {
    this.#say({ kind: 'end', reply });
  }

  stop(reply) {
    this.#say({ kind: 'stop', reply });
  }

  #say(message) {
    this.node.port.postMessage(message);
  }
}

/** Plays by buffers that are scheduled one after another: for pages that are not secure, which have no worklets. */
class BufferSink {
  constructor(context, to, told) {
    Object.assign(this, { context, to, told });
    this.begin(0);
  }

  begin(reply) {
    this.#silence();
    Object.assign(this, { reply, parts: [], ended: false });
  }

  add(reply, samples) {
    const { context } = this;
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: context.sampleRate });
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    const last = this.parts.at(-1);
    const at = Math.max(context.currentTime + 0.01, last ? last.at + last.length / context.sampleRate : 0);
    source.connect(this.to);
    source.start(at);
    this.parts.push({ source, at, length: samples.length });
    this.looking ??= setInterval(() => this.#look(), LOOK_MS);
  }

  end() {
    this.ended = true;
    this.looking ??= setInterval(() => this.#look(), LOOK_MS);
  }

  stop(reply) {
    const frames = this.#played();
    this.#silence();
    this.told({ kind: 'stopped', reply, frames, level: 0 });
  }

  #played() {
    const { currentTime, sampleRate } = this.context;
    const of = ({ at, length }) => Math.max(0, Math.min(length, Math.round((currentTime - at) * sampleRate)));
    return this.parts.reduce((sum, part) => sum + of(part), 0);
  }

  #look() {
    const frames = this.#played();
    const all = this.parts.reduce((sum, part) => sum + part.length, 0);
    const done = this.ended && frames >= all;
    if (done) this.#rest();
    this.told({ kind: done ? 'drained' : 'position', reply: this.reply, frames, level: frames < all ? 0.1 : 0 });
  }

  #silence() {
    for (const { source } of this.parts ?? []) source.stop();
    this.#rest();
  }

  #rest() {
    clearInterval(this.looking);
    this.looking = undefined;
  }
}

/** @returns {{rate: number, samples: Float32Array}} the sound of a WAV file: int16, mono */
export function unpacked(wav) {
  const view = new DataView(wav);
  const name = (at) => String.fromCharCode(...new Uint8Array(wav, at, 4));
  let rate = 0;
  for (let at = 12; at + 8 <= wav.byteLength; at += 8 + view.getUint32(at + 4, true)) {
    if (name(at) === 'fmt ') rate = view.getUint32(at + 12, true);
    if (name(at) === 'data') {
      const count = Math.min(view.getUint32(at + 4, true), wav.byteLength - at - 8) >> 1;
      const samples = new Float32Array(count);
      for (let one = 0; one < count; one++) samples[one] = view.getInt16(at + 8 + 2 * one, true) / 32768;
      return { rate, samples };
    }
  }
  throw new Error('that is no WAV file');
}
