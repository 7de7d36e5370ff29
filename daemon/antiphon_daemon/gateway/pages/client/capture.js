// An AudioWorklet: the microphone as frames of 20 ms, int16 at 16 kHz, each with its level.

import { Resampler } from './resampler.js';

const RATE = 16000;
const FRAME = RATE / 50;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
    this.wanted = true;
    this.port.onmessage = () => (this.wanted = false);
  }

  process([input]) {
    if (input.length > 0) {
      for (const sample of this.resampler.push(input[0])) this.put(sample);
    }
    return this.wanted;
  }

  put(sample) {
    const bounded = Math.max(-1, Math.min(1, sample));
    this.energy += bounded * bounded;
    this.frame[this.filled++] = Math.round(bounded * 32767);
    if (this.filled < FRAME) return;
    const { buffer } = this.frame;
    this.port.postMessage({ pcm: buffer, level: Math.sqrt(this.energy / FRAME) }, [buffer]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }
}

registerProcessor('antiphon-capture', Capture);
