// Numbers as people read them.

import { language, t } from './words.js';

const NONE = '–';

/** @returns {string} a number in the page's language */
export function number(value, digits = 0) {
  const written = new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
  return written.replace('-', '−');
}

/** @returns {string} milliseconds; seconds where they are many */
export function ms(value) {
  if (value === null || value === undefined) return NONE;
  return Math.abs(value) < 10_000 ? `${number(value)} ms` : t('seconds', number(value / 1000, 1));
}

/** @returns {string} a part of a whole */
export function percent(part, whole = 1) {
  return whole ? new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 0 }).format(part / whole) : NONE;
}

/** @returns {string} bytes as MB */
export function megabytes(bytes) {
  return bytes === null ? NONE : `${number(bytes / 1e6)} MB`;
}

/** @returns {string} how long something lasts, roughly */
export function lasting(s) {
  if (s === null || s === undefined) return NONE;
  if (s < 60) return t('seconds', number(s));
  if (s < 3600) return t('minutes', number(Math.floor(s / 60)));
  if (s < 86_400) return t('hours', number(Math.floor(s / 3600)), number(Math.floor((s % 3600) / 60)));
  return t('days', number(Math.floor(s / 86_400)), number(Math.floor((s % 86_400) / 3600)));
}

/** @returns {string} the time of day */
export function clock(iso) {
  return new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }).format(new Date(iso));
}
