// The dashboard: listens to the daemon, and shows what it tells.

import { at } from './dom.js';
import { Feed } from './feed.js';
import { clock, number } from './figures.js';
import { drawHouse } from './house.js';
import { TOKEN, read, tokenOfAddress, write } from './storage.js';
import { Turns, drawLegend } from './turns.js';
import { language, preferred, speak, t } from './words.js';

const CHOICES = 'antiphon.choices';
const HELD = 128;

let token = tokenOfAddress() ?? read('sessionStorage', TOKEN);
let state = null;
let link = { state: 'connecting' };
let held = null;
let counting = 0;
const turns = new Turns();
const feed = new Feed(() => token);

feed.addEventListener('told', ({ detail }) => (held ? hold(detail) : take(detail)));
feed.addEventListener('state', ({ detail }) => {
  const again = detail.state === 'connecting' && ['lost', 'refused'].includes(link.state);
  if (again) stopCounting(); // that it is tried once more is no news
  else drawLink((link = detail));
});

/** Keep what is told while the page is paused: the last of each thing, and no more than the daemon keeps. */
function hold(detail) {
  const key = detail.kind === 'turn' ? detail.data.number : detail.kind;
  if (detail.kind === 'snapshot') held.clear();
  held.delete(key);
  held.set(key, detail);
  if (held.size > HELD) held.delete(held.keys().next().value);
}

async function take({ kind, data }) {
  if (kind === 'snapshot') {
    state = data;
    turns.replace(data.turns);
  } else if (kind === 'turn' && state) {
    turns.show(data);
  } else if (kind === 'state') {
    state = data;
  } else if (kind === 'lost') {
    const whole = await feed.whole();
    if (whole) return take({ kind: 'snapshot', data: whole });
  }
  draw();
}

function draw() {
  if (!state) return;
  at('main').hidden = false;
  at('turns-count').textContent = t('turns_kept', number(state.summary.turns), number(state.count));
  drawHouse(state);
}

function drawLink({ state: how, why, retry_s: wait } = link) {
  at('link').dataset.state = how;
  const said = t(why === 'goodbye' ? 'gone' : how);
  if (at('link-state').textContent !== said) at('link-state').textContent = said;
  at('retry').hidden = !['lost', 'refused'].includes(how);
  at('token-form').hidden = how !== 'token';
  if (how === 'token') askToken();
  document.body.classList.toggle('old', state !== null && how !== 'live');
  if (how === 'refused') notice(why, 'en');
  else if (how === 'live') notice('');
  else if (how === 'lost' && state) notice(t('old', clock(state.at)));
  else if (how === 'lost') notice(t('unreachable'));
  stopCounting();
  if (!at('retry').hidden) {
    const until = performance.now() + wait * 1000;
    const count = () => {
      const left = Math.ceil((until - performance.now()) / 1000);
      at('link-more').textContent = left > 0 ? t('retry_in', number(left)) : '';
    };
    count();
    counting = setInterval(count, 1000);
  }
}

function stopCounting() {
  clearInterval(counting);
  at('link-more').textContent = '';
}

function notice(text, lang = language) {
  const there = at('notice');
  if (there.textContent !== text) there.textContent = text;
  there.lang = lang;
  there.hidden = !text;
}

function askToken() {
  at('token-wrong').textContent = token ? t('token_wrong') : '';
  at('token').focus();
}

at('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  token = at('token').value.trim();
  write('sessionStorage', TOKEN, token);
  feed.again();
});

window.addEventListener('hashchange', () => {
  const given = tokenOfAddress();
  if (!given) return;
  token = given;
  feed.again();
});

at('retry').addEventListener('click', () => feed.again());

at('pause').addEventListener('click', () => {
  const waiting = held;
  held = held ? null : new Map();
  at('pause').textContent = t(held ? 'go_on' : 'pause');
  for (const detail of waiting?.values() ?? []) take(detail);
});

at('page-language').addEventListener('change', ({ target }) => {
  write('localStorage', CHOICES, { ...read('localStorage', CHOICES), page: target.value });
  say(target.value);
});

function say(wanted) {
  speak(wanted);
  document.title = `Antiphon: ${t('title')}`;
  at('page-language').value = language;
  at('pause').textContent = t(held ? 'go_on' : 'pause');
  drawLegend();
  turns.draw();
  draw();
  drawLink();
}

say(read('localStorage', CHOICES)?.page || preferred());
feed.again();
