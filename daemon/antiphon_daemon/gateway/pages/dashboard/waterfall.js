// One turn as bars over time, all turns on one axis. Zero is the end of speech (or when it was asked).

import { drawn } from './dom.js';

/** The lanes from top to bottom; the stages of one lane follow each other. */
const LANES = [['speech', 'hold'], ['stt'], ['turn_model'], ['llm', 'clause'], ['tts']];
export const STAGES = [...LANES.flat(), 'first_audio'];

const WIDTH = 1000;
const LANE = 6;
const GAP = 1;
export const HEIGHT = LANES.length * (LANE + GAP) + 5;
/** The part of the axis that lies before zero: speech is long, and only its end matters here. */
const BEFORE = 0.12;
const ENDS = [1000, 1500, 2000, 3000, 4000, 6000, 8000, 12_000, 20_000, 30_000];
const STEPS = [100, 200, 250, 500, 1000, 2000, 5000, 10_000];
const TICKS = 5;

/** @returns {Array<[string, number, number]>} the bars of a turn: stage, begin and end in ms */
export function bars(turn) {
  const made = Object.entries(turn.stages).filter(([stage]) => stage !== 'first_audio').map(([stage, [begin, end]]) => [stage, begin, end]);
  if (turn.speech_ms !== null) made.unshift(['speech', -turn.speech_ms, 0]);
  return made;
}

/** The time axis that suits some turns: most of them wholly, a few slow ones not, or nothing could be seen of the rest. */
export class Axis {
  constructor(turns) {
    const ends = turns.map((turn) => Math.max(0, ...Object.values(turn.stages).map(([, end]) => end))).sort((a, b) => a - b);
    const usual = ends[Math.ceil(ends.length * 0.9) - 1] ?? 0;
    this.end = ENDS.find((end) => end >= usual) ?? ENDS.at(-1);
    this.begin = (-this.end * BEFORE) / (1 - BEFORE);
    this.step = STEPS.find((step) => this.end / step <= TICKS) ?? STEPS.at(-1);
  }

  get ticks() {
    return Array.from({ length: Math.floor(this.end / this.step) + 1 }, (_, place) => place * this.step);
  }

  /** @returns {number} where a time lies, 0 to 1; beyond the ends at the end */
  place(ms) {
    return Math.min(1, Math.max(0, (ms - this.begin) / (this.end - this.begin)));
  }

  same(other) {
    return other !== null && other.end === this.end;
  }
}

/** @returns {SVGElement} the picture of a turn; its text is in the table beside it */
export function waterfall(turn, axis) {
  const x = (ms) => axis.place(ms) * WIDTH;
  const made = drawn('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', class: 'fall', 'aria-hidden': 'true' });
  for (const tick of axis.ticks) made.append(line(x(tick), tick === 0 ? 'zero' : 'tick'));
  for (const [stage, begin, end] of bars(turn)) {
    const lane = LANES.findIndex((stages) => stages.includes(stage));
    const width = Math.max(x(end) - x(begin), 3);
    const left = Math.min(x(begin), WIDTH - width);
    made.append(drawn('rect', { x: left, y: 2 + lane * (LANE + GAP), width, height: LANE, class: `bar ${stage}` }));
  }
  const first = turn.timeline.first_audio;
  if (first !== null) made.append(line(Math.min(x(first), WIDTH - 2), first > axis.end ? 'sound beyond' : 'sound'));
  return made;
}

function line(x, name) {
  return drawn('line', { x1: x, x2: x, y1: 0, y2: HEIGHT, class: name });
}
