// The microphone: asked for when it is wanted, with the browser's echo canceller, and let go of when it is muted.

const WANTED = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

/** Why there is no microphone: `code` is a key of the page's words. */
export class NoMicrophone extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** Whether this page may ask at all: browsers let only secure pages do that. */
export function mayAsk() {
  return window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
}

/** Events: `frame` {pcm: ArrayBuffer, level}, `lost` (the device is gone). */
export class Microphone extends EventTarget {
  #context;
  #ready = null;
  #asked = 0; // rises with each wish: an answer that comes too late is not wanted any more
  #stream = null;
  #source = null;
  #node = null;

  constructor(context) {
    super();
    this.#context = context;
  }

  get on() {
    return this.#stream !== null;
  }

  /**
   * Ask for the microphone, and listen.
   * @throws {NoMicrophone}
   */
  async open(module) {
    if (this.on) return;
    if (!mayAsk()) throw new NoMicrophone('insecure');
    const asked = ++this.#asked;
    await this.#load(module);
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
    } catch (error) {
      throw new NoMicrophone(reason(error));
    }
    if (asked !== this.#asked) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.#stream = stream;
    for (const track of stream.getTracks()) {
      track.addEventListener('ended', () => this.#ended(stream));
    }
    this.#source = new MediaStreamAudioSourceNode(this.#context, { mediaStream: stream });
    this.#node = new AudioWorkletNode(this.#context, 'antiphon-capture', {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: 'explicit',
    });
    this.#node.port.onmessage = ({ data }) => {
      if (this.#stream === stream) this.dispatchEvent(new CustomEvent('frame', { detail: data }));
    };
    this.#source.connect(this.#node);
  }

  async #load(module) {
    try {
      this.#ready ??= this.#context.audioWorklet.addModule(module);
      await this.#ready;
    } catch {
      this.#ready = null;
      throw new NoMicrophone('not_loaded');
    }
  }

  /** Let go of it: the browser's sign that it listens goes out. */
  close() {
    this.#asked++;
    if (!this.on) return;
    for (const track of this.#stream.getTracks()) track.stop();
    this.#stream = null;
    this.#source.disconnect();
    this.#node.port.postMessage('enough');
    this.#node.port.onmessage = null;
  }

  #ended(stream) {
    if (this.#stream !== stream) return;
    this.close();
    this.dispatchEvent(new Event('lost'));
  }
}

function reason(error) {
  if (error.name === 'NotAllowedError' || error.name === 'SecurityError') return 'denied';
  if (error.name === 'NotFoundError' || error.name === 'OverconstrainedError') return 'none';
  return 'busy';
}
