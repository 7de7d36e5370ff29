// What was typed, until the daemon has it.

/** Keeps what waits for a connection, and what was sent over one that may have died since. */
export class Typed {
  #field;
  #send;
  #waiting = [];
  #sent = []; // no transcript has come

  /**
   * @param {HTMLInputElement} field where it is typed
   * @param {(text: string) => void} send
   */
  constructor(field, send) {
    this.#field = field;
    this.#send = send;
  }

  /** It goes when there is a connection. */
  wait(text) {
    this.#waiting.push(text);
  }

  send(text) {
    this.#sent.push(text);
    this.#send(text);
  }

  /** There is a connection: all that waits goes as one message, as each stops the reply to the one before. */
  sendAll() {
    if (this.#waiting.length > 0) this.send(this.#waiting.splice(0).join(' '));
  }

  /** A transcript has come: each message gets one. */
  taken() {
    this.#sent.shift();
  }

  /** What was sent may be lost: it stands in its field again or, where something new is being typed, waits. */
  giveBack() {
    const text = this.#sent.splice(0).join(' ');
    if (!text) return;
    if (this.#field.value) this.#waiting.unshift(text);
    else this.#field.value = text;
  }

  /** No connection comes: what waits for one stands in its field again, and goes when it is sent once more. */
  takeBack() {
    if (!this.#field.value) this.#field.value = this.#waiting.splice(0).join(' ');
  }

  /** What waits is not wanted any more. */
  forget() {
    this.#waiting = [];
  }
}
