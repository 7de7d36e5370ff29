// Changes the rate of a stream of samples: a polyphase low-pass filter (windowed sinc, Kaiser), exact for every ratio.

const ZEROS = 32; // zero crossings of the sinc on each side: the transition is about 1/16 of the band
const BETA = 9; // of the Kaiser window: what folds back is some 90 dB down
const EDGE = 0.955; // where the filter is half open, as a part of the lower of the two bands

/** A stream of its own: what is pushed in goes on where the last push ended. */
export class Resampler {
  /**
   * @param {number} from samples a second that come
   * @param {number} to samples a second that are wanted
   */
  constructor(from, to) {
    const common = divisor(from, to);
    this.up = to / common;
    this.down = from / common;
    this.half = Math.ceil(ZEROS * Math.max(1, from / to));
    this.taps = 2 * this.half;
    this.table = this.up === this.down ? null : filters(this.up, this.half, Math.min(1, to / from) * EDGE);
    this.line = new Float32Array(this.taps + 8192);
    this.made = new Float32Array(1024);
    this.reset();
  }

  /** Begin another stream. */
  reset() {
    this.line.fill(0);
    this.length = this.half - 1; // silence before the first sample
    this.at = 0; // the first tap of the next sample, in the line
    this.phase = 0;
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array} what they make at the other rate: a view, good until the next call
   */
  push(samples) {
    if (this.table === null) return samples;
    this.#take(samples);
    const { line, table, taps, up, down } = this;
    let count = 0;
    while (this.at + taps <= this.length) {
      if (count === this.made.length) this.made = longer(this.made, 2 * count);
      const first = this.phase * taps;
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += line[this.at + tap] * table[first + tap];
      this.made[count++] = sum;
      this.phase += down;
      const step = Math.floor(this.phase / up);
      this.phase -= step * up;
      this.at += step;
    }
    return this.made.subarray(0, count);
  }

  /** @returns {Float32Array} what the filter still holds of the last samples */
  flush() {
    return this.table === null ? new Float32Array(0) : this.push(new Float32Array(this.half));
  }

  #take(samples) {
    const done = Math.min(this.at, this.length);
    this.line.copyWithin(0, done, this.length);
    this.length -= done;
    this.at -= done;
    if (this.length + samples.length > this.line.length) {
      this.line = longer(this.line, 2 * (this.length + samples.length));
    }
    this.line.set(samples, this.length);
    this.length += samples.length;
  }
}

/** One filter for each place that a wanted sample can have between two that came; each lets silence and DC through. */
function filters(phases, half, open) {
  const taps = 2 * half;
  const table = new Float32Array(phases * taps);
  const scale = bessel(BETA);
  for (let phase = 0; phase < phases; phase++) {
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const x = tap - half + 1 - phase / phases;
      const edge = x / half;
      const window = Math.abs(edge) < 1 ? bessel(BETA * Math.sqrt(1 - edge * edge)) / scale : 0;
      const value = open * sinc(open * x) * window;
      table[phase * taps + tap] = value;
      sum += value;
    }
    for (let tap = 0; tap < taps; tap++) table[phase * taps + tap] /= sum;
  }
  return table;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** The modified Bessel function of the first kind, order 0. */
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let n = 1; term > 1e-10 * sum; n++) {
    term *= (x / (2 * n)) ** 2;
    sum += term;
  }
  return sum;
}

function divisor(a, b) {
  return b === 0 ? a : divisor(b, a % b);
}

function longer(array, length) {
  const grown = new Float32Array(length);
  grown.set(array);
  return grown;
}
