// An AudioWorklet: plays what it is given, one after another, tells how much of it was played, and stops at once.

const FADE = 0.005; // seconds in which a stopped reply falls silent: a cut would click
const TELL = 0.05; // seconds between two reports

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.fadeBy = 1 / (FADE * sampleRate);
    this.tellEvery = TELL * sampleRate;
    this.begin(0);
    this.port.onmessage = ({ data }) => this.obey(data);
  }

  begin(reply) {
    this.reply = reply;
    this.queue = [];
    this.offset = 0;
    this.played = 0;
    this.ended = false;
    this.drained = false;
    this.fading = 0; // while it falls silent: what is left of its loudness
    this.energy = 0;
    this.untold = 0;
  }

  obey(message) {
    if (message.kind === 'begin') this.begin(message.reply);
    else if (message.reply !== this.reply) return;
    else if (message.kind === 'sound') {
      if (this.fading === 0 && !this.drained) this.queue.push(message.samples);
    } else if (message.kind === 'end') this.ended = true;
    else if (message.kind === 'stop') {
      this.tell('stopped');
      if (this.queue.length > 0) this.fading = 1;
      this.ended = true;
      this.drained = true; // what is stopped does not say that it was played
    }
  }

  process(inputs, [[output]]) {
    for (let at = 0; at < output.length; at++) {
      if (this.queue.length === 0) break;
      const sample = this.queue[0][this.offset++];
      output[at] = this.fading > 0 ? sample * this.fading : sample;
      this.energy += output[at] * output[at];
      this.untold++;
      if (this.offset === this.queue[0].length) {
        this.queue.shift();
        this.offset = 0;
      }
      if (this.fading > 0) this.fade();
      else this.played++;
    }
    if (this.untold >= this.tellEvery) this.tell('position');
    if (this.ended && !this.drained && this.queue.length === 0) {
      this.drained = true;
      this.tell('drained');
    }
    return true;
  }

  fade() {
    this.fading -= this.fadeBy;
    if (this.fading > 0 && this.queue.length > 0) return;
    this.fading = 0;
    this.queue = [];
    this.offset = 0;
  }

  tell(kind) {
    const level = this.untold > 0 ? Math.sqrt(this.energy / this.untold) : 0;
    this.port.postMessage({ kind, reply: this.reply, frames: this.played, level });
    this.energy = 0;
    this.untold = 0;
  }
}

registerProcessor('antiphon-player', Player);
