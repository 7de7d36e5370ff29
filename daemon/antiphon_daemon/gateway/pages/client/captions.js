// What both sides say, as it is said.

import { t } from './words.js';

const MOST = 200; // entries; the oldest go first
const NEAR = 48; // pixels from the end that count as there

/** Keeps the list of what was said. */
export class Captions {
  #list;
  #box;
  #hint;
  #user = null; // what is being said, or was said last and may go on
  #told = ''; // of it, what was certain while it was said
  #open = false; // it may still change
  #reply = null; // the reply to it
  #stood = ''; // what the reply said when it was stopped, while it may be going on
  #atEnd = true; // what is shown
  #before = []; // both, of the turn before: it goes on if nothing was said after all

  constructor(box, list, hint) {
    this.#box = box;
    this.#list = list;
    this.#hint = hint;
    box.addEventListener('scroll', () => (this.#atEnd = fromEnd(box) < NEAR));
    new ResizeObserver(() => this.#follow()).observe(box);
  }

  /** Words of the user that are certain, while speech goes on. */
  userWords(delta) {
    if (!this.#open) this.#begin();
    this.#told += delta;
    this.#pending(this.#told);
  }

  /** All that the user said, or wrote. */
  user(text, language) {
    if (!this.#open) this.#begin();
    this.#open = false;
    if (!text) {
      this.#user.remove();
      if (this.#before[1] && markOf(this.#before[1])) [this.#user, this.#reply] = this.#before; // a cough: it goes on
      return;
    }
    this.#user.classList.remove('pending');
    write(this.#user, text, language);
    this.#follow();
  }

  /** The user went on: a longer text follows. */
  userGoesOn() {
    if (this.#user === null) return;
    this.#open = true;
    this.#pending(textOf(this.#user));
  }

  /** There were no words. */
  userSaidNothing() {
    if (this.#open) {
      this.#user.remove();
      [this.#user = null, this.#reply = null] = this.#before;
    }
    this.#open = false;
  }

  /** A reply begins; a reply that begins again takes its own place. */
  replyBegins(language) {
    this.#reply ??= this.#add('assistant');
    this.#stood = markOf(this.#reply) ? textOf(this.#reply).trimStart() : '';
    markOf(this.#reply)?.remove();
    write(this.#reply, '', language);
  }

  replyWords(delta) {
    if (this.#reply === null) return;
    const text = textOf(this.#reply) + delta;
    const told = text.trimStart(); // `reply` tells it without the blanks around it
    if (!told.startsWith(this.#stood) && !this.#stood.startsWith(told)) this.#setApart();
    write(this.#reply, text);
    this.#follow();
  }

  reply(text) {
    if (this.#reply === null) return;
    write(this.#reply, text);
    this.#follow();
  }

  /** The reply was stopped. */
  stopped() {
    if (this.#reply === null || markOf(this.#reply)) return;
    const mark = element('span', 'stopped', t('stopped'));
    mark.dataset.t = 'stopped';
    this.#reply.append(mark);
    this.#follow();
  }

  /** What follows is another conversation. */
  divide() {
    this.#user = this.#reply = null;
    this.#before = [];
    this.#open = false;
    if (this.#list.childElementCount === 0 || this.#list.lastElementChild.className === 'divide') return;
    const line = element('li', 'divide');
    const words = element('span', '', t('new_conversation'));
    words.dataset.t = 'new_conversation';
    line.append(words);
    this.#append(line);
  }

  /** Take everything away. */
  clear() {
    this.#list.replaceChildren();
    this.divide();
    this.#hint.hidden = false;
  }

  /** It is another one, such as an apology: what was stopped stays as it stood. */
  #setApart() {
    const { lang } = this.#reply.querySelector('p');
    write(this.#reply, this.#stood);
    this.stopped();
    this.#stood = '';
    this.#reply = this.#add('assistant');
    write(this.#reply, '', lang);
  }

  #pending(text) {
    this.#open = true;
    this.#user.classList.add('pending');
    if (text.length >= textOf(this.#user).length) write(this.#user, text);
    this.#follow();
  }

  #begin() {
    this.#before = [this.#user, this.#reply];
    this.#user = this.#add('user');
    this.#reply = null;
    this.#told = '';
  }

  #add(side) {
    const said = element('li', `said ${side}`);
    const who = element('span', 'who', t(side === 'user' ? 'you' : 'assistant'));
    who.dataset.t = side === 'user' ? 'you' : 'assistant';
    said.append(who, element('p'));
    this.#append(said);
    return said;
  }

  #append(one) {
    this.#hint.hidden = true;
    this.#list.append(one);
    while (this.#list.childElementCount > MOST) this.#list.firstElementChild.remove();
    this.#follow(true);
  }

  /** Show the end, unless somebody reads further up. */
  #follow(anyway = false) {
    if (anyway || this.#atEnd) this.#box.scrollTop = this.#box.scrollHeight;
  }
}

function fromEnd(box) {
  return box.scrollHeight - box.scrollTop - box.clientHeight;
}

/** @returns {?HTMLElement} what says that it was stopped */
function markOf(said) {
  return said.querySelector('.stopped');
}

function textOf(said) {
  return said.querySelector('p').textContent;
}

function write(said, text, language) {
  const place = said.querySelector('p');
  place.textContent = text;
  if (language) place.lang = language;
}

/** @returns {HTMLElement} */
export function element(name, className = '', text = '') {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
