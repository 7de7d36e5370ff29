// What is chosen, kept in this browser; the token, kept in this tab; and the two dialogs that ask for them.

import { element } from './captions.js';
import { TOKEN, read, tokenOfAddress, write } from './storage.js';
import { nameOf, preferred, speak, t } from './words.js';

const CHOICES = 'antiphon.choices';
const UNCHOSEN = { page: '', language: '', voice: '', aloud: true, keys: true };

const at = (id) => document.getElementById(id);

/** Events: `page` (its language), `talk` (spoken language or voice), `aloud`, `token` (one was given), `known` (one that
 *  nobody had asked for), `declined` (none was given), `forgotten`. */
export class Settings extends EventTarget {
  #chosen = { ...UNCHOSEN, ...read('localStorage', CHOICES) };
  #house = null;
  #token = tokenOfAddress() ?? read('sessionStorage', TOKEN);

  constructor() {
    super();
    this.#dialog();
    this.#tokenDialog();
    window.addEventListener('hashchange', () => this.#take(tokenOfAddress()));
  }

  get language() {
    return this.#chosen.language;
  }

  get voice() {
    return this.#chosen.voice;
  }

  get aloud() {
    return this.#chosen.aloud;
  }

  get keys() {
    return this.#chosen.keys;
  }

  get token() {
    return this.#token;
  }

  /** Speak the language that was chosen, or the browser's. */
  speak() {
    speak(this.#chosen.page || preferred());
    at('page-language').value = document.documentElement.lang;
    this.#offer();
  }

  /** @param {Object} house what `GET /` says: only what it knows can be chosen */
  adopt(house) {
    this.#house = house;
    if (!house.languages.hears.includes(this.#chosen.language)) this.#chosen.language = '';
    if (!house.voices.some((voice) => voice.name === this.#chosen.voice)) this.#chosen.voice = '';
    this.#offer();
  }

  /** Ask for the token; one that was shown is the wrong one. */
  askToken() {
    at('token-fault').textContent = this.#token ? t('token_wrong') : '';
    at('token').value = '';
    if (!at('token-dialog').open) at('token-dialog').showModal();
  }

  #offer() {
    const house = this.#house;
    at('token-forget').hidden = !this.#token;
    if (house === null) return;
    const languages = house.languages.hears.map((tag) => [tag, nameOf(tag)]);
    languages.sort(([, one], [, other]) => one.localeCompare(other, document.documentElement.lang));
    fill(at('spoken-language'), [['', t('of_house', nameOf(house.language))], ...languages], this.#chosen.language);
    const voices = house.voices.map(({ name, languages: spoken }) => [name, `${name} (${spoken.map(nameOf).join(', ')})`]);
    fill(at('voice'), [['', t('voice_of_house')], ...voices], this.#chosen.voice);
  }

  #dialog() {
    const dialog = at('settings');
    at('settings-open').addEventListener('click', () => dialog.showModal());
    at('settings-close').addEventListener('click', () => dialog.close());
    at('aloud').checked = this.#chosen.aloud;
    at('keys').checked = this.#chosen.keys;
    const choose = (id, key, kind, take = (field) => field.value) => {
      at(id).addEventListener('change', ({ target }) => {
        this.#chosen[key] = take(target);
        write('localStorage', CHOICES, { ...read('localStorage', CHOICES), [key]: this.#chosen[key] }); // other tabs choose, too
        if (kind === 'page') this.speak();
        this.dispatchEvent(new Event(kind));
      });
    };
    choose('page-language', 'page', 'page');
    choose('spoken-language', 'language', 'talk');
    choose('voice', 'voice', 'talk');
    choose('aloud', 'aloud', 'aloud', (field) => field.checked);
    choose('keys', 'keys', 'keys', (field) => field.checked);
    at('token-forget').addEventListener('click', () => {
      this.#keep(null);
      dialog.close();
      this.dispatchEvent(new Event('forgotten'));
    });
  }

  #tokenDialog() {
    const dialog = at('token-dialog');
    at('token-cancel').addEventListener('click', () => {
      dialog.close();
      this.dispatchEvent(new Event('declined'));
    });
    dialog.addEventListener('cancel', () => this.dispatchEvent(new Event('declined')));
    at('token-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#take(at('token').value.trim());
    });
  }

  #take(token) {
    if (!token) return;
    this.#keep(token);
    const asked = at('token-dialog').open;
    at('token-dialog').close();
    this.dispatchEvent(new Event(asked ? 'token' : 'known'));
  }

  #keep(token) {
    this.#token = token;
    write('sessionStorage', TOKEN, token);
    at('token-forget').hidden = !token;
  }
}

function fill(select, options, chosen) {
  const made = options.map(([value, name]) => Object.assign(element('option', '', name), { value }));
  select.replaceChildren(...made);
  select.value = chosen;
}
