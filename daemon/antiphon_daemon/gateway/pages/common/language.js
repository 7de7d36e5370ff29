// In which language a page speaks. The words are the page's own (`words.js`).

const FIRST = 'en';

let languages = { [FIRST]: {} };

/** The language of the page. */
export let language = FIRST;

/** Have these words: by language, English among them, and by key; a key stands for words, or a function that makes them. */
export function know(words) {
  languages = words;
}

/** @returns {string} the first of the browser's languages that the page knows */
export function preferred() {
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((one) => one in languages) ?? FIRST;
}

/** Speak another language, in what is marked by `data-t`, `data-t-label` and `data-t-placeholder` too. */
export function speak(wanted) {
  language = wanted in languages ? wanted : FIRST;
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll('[data-t]')) one.textContent = t(one.dataset.t);
  for (const one of document.querySelectorAll('[data-t-label]')) one.setAttribute('aria-label', t(one.dataset.tLabel));
  for (const one of document.querySelectorAll('[data-t-placeholder]')) one.placeholder = t(one.dataset.tPlaceholder);
}

/** @returns {string} the words for `key` */
export function t(key, ...values) {
  const words = languages[language][key];
  return typeof words === 'function' ? words(...values) : words;
}

/** @returns {boolean} whether there are words for `key` */
export function known(key) {
  return key in languages[language];
}
