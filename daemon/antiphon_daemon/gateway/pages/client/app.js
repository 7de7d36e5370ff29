// The page: what is pressed, what comes from the daemon, and what is shown of it.

import { Captions } from './captions.js';
import { Connection } from './connection.js';
import { Microphone } from './microphone.js';
import { Notices } from './notices.js';
import { Settings } from './settings.js';
import { Speaker } from './speaker.js';
import { Timers } from './timers.js';
import { Typed } from './typed.js';
import { Waterfall } from './waterfall.js';
import { known, nameOf, t } from './words.js';

const REPORT_MS = 100; // what was played is told so often
const BRIEF_MS = 3000; // a remark beside the state stays so long
const WAKE_MS = 400; // sound that sleeps has so long to wake before a person is asked to help

const at = (id) => document.getElementById(id);
const module = (name) => new URL(name, import.meta.url);

const settings = new Settings();
const captions = new Captions(at('log'), at('turns'), at('hint'));
const notices = new Notices(at('notices'));
const waterfall = new Waterfall(at('last-turn-brief'), at('last-turn-none'), at('waterfall'), at('last-turn-more'));
const connection = new Connection(
  () => ({ language: settings.language, voice: settings.voice, barge_in: 'voice' }),
  () => settings.token,
);
let sound = null; // the AudioContext: it may begin only when something was pressed
let opening = null; // the same, while it is being opened
let speaker = null;
let microphone = null;
let wanted = false; // the microphone is to be open
let asked = false; // it was to be open at the last Connect
let asking = false;
let starting = false;
let state = 'idle'; // as the daemon says
let spoken = ''; // the language of the conversation
let remark = null; // beside the state, for a moment
let waits_s = 0;
let reported = 0;
let level = 0;
let lock = null;
const typed = new Typed(at('say'), (content) => connection.send({ type: 'text', content }));
const timers = new Timers(at('timers'), at('timer-list'), () => sound);

// Sound.

async function openSound() {
  if (sound === null) await (opening ??= makeSound().finally(() => (opening = null)));
  else await Promise.race([sound.resume().catch(() => {}), sleep(WAKE_MS)]);
}

async function makeSound() {
  let context = null;
  try {
    context = new AudioContext({ latencyHint: 'interactive' });
    context.addEventListener('statechange', wake);
    const made = new Speaker(context);
    await made.open(module('player.js'));
    made.audible = settings.aloud;
    made.addEventListener('position', ({ detail }) => report(detail));
    made.addEventListener('drained', () => {
      connection.send({ type: 'played' });
      show();
    });
    sound = context;
    speaker = made;
    notices.hide('sound');
  } catch (error) {
    context?.close();
    if (error.name === 'AbortError') sayNotLoaded(); // a module did not come
    else {
      console.error(error);
      notices.show('sound', () => ({ text: t('no_sound') }));
    }
  }
}

/** Sound without a module that it needs is of no use: where one could not be loaded, none can be loaded later. */
function dropSound() {
  sound?.close();
  sound = speaker = microphone = null;
  sayNotLoaded();
}

/** A daemon that is away is said already, and sound is opened once it is back. */
function sayNotLoaded() {
  if (connection.phase === 'on') notices.show('sound', () => ({ text: t('not_loaded') }));
}

/** The daemon is there: open what could not be opened while it was away. */
async function openAll() {
  if (sound === null) {
    await openSound();
    if (wanted) await openMicrophone();
  }
  wake();
}

function report({ ms, level: loud }) {
  louder(loud);
  const now = performance.now();
  if (now - reported < REPORT_MS) return;
  reported = now;
  connection.send({ type: 'played', ms });
}

async function openMicrophone() {
  if (sound === null || asking || microphone?.on) return;
  if (microphone === null) {
    microphone = new Microphone(sound);
    microphone.addEventListener('frame', ({ detail }) => {
      connection.sound(detail.pcm);
      louder(detail.level);
    });
    microphone.addEventListener('lost', () => {
      notices.show('microphone', () => ({ text: t('lost_microphone') }));
      connection.send({ type: 'end' });
      show();
    });
  }
  asking = true;
  let given = false;
  try {
    await microphone.open(module('capture.js'));
    given = true;
    notices.hide('microphone');
  } catch (error) {
    if (error.code === 'not_loaded') dropSound();
    else if (known(error.code)) notices.show('microphone', () => whyNoMicrophone(error.code));
    else throw error;
  } finally {
    asking = false;
  }
  if (!wanted) microphone?.close();
  else if (given) await openMicrophone(); // it was let go of while it was asked for, and is wanted again
  show();
}

function closeMicrophone() {
  if (microphone?.on) connection.send({ type: 'end' });
  microphone?.close();
}

function whyNoMicrophone(code) {
  if (code !== 'insecure') return { text: t(code) };
  const lines = [t('insecure_1'), t('insecure_2', location.hostname), t('insecure_3')];
  return { text: t('insecure', location.origin), more: { title: t('insecure_title'), lines } };
}

/** Sound that sleeps (a tab in the background, a call on the phone) is woken; if that needs a hand, say so. */
async function wake() {
  if (sound === null || connection.phase === 'off' || document.hidden) return;
  if (sound.state !== 'running') {
    sound.resume().catch(() => {});
    await sleep(WAKE_MS);
  }
  if (sound.state === 'running' || connection.phase === 'off') notices.hide('asleep');
  else notices.show('asleep', () => ({ text: t('asleep') }), { name: 'wake', act: () => sound.resume() });
}

/** A phone does not fall asleep while it listens. */
function keepAwake() {
  const needed = connection.phase === 'on' && Boolean(microphone?.on) && !document.hidden;
  if (needed === (lock !== null)) return;
  if (needed) lock = navigator.wakeLock?.request('screen').catch(() => undefined) ?? Promise.resolve(); // refused: so be it
  else {
    lock.then((held) => held?.release());
    lock = null;
  }
}

// What is pressed.

async function connect(withMicrophone) {
  if (starting) return;
  starting = true;
  wanted = asked = withMicrophone;
  try {
    await openSound();
  } finally {
    starting = false;
  }
  connection.open();
  if (wanted) await openMicrophone();
}

function disconnect() {
  wanted = false;
  closeMicrophone();
  connection.close();
  typed.forget();
  for (const key of ['link', 'asleep', 'microphone', 'error']) notices.hide(key);
  sound?.suspend();
}

function toggleMute() {
  wanted = !microphone?.on;
  if (wanted) openSound().then(openMicrophone);
  else closeMicrophone();
  show();
}

async function stopTalking() {
  timers.calm();
  const message = { type: 'barge_in' };
  if (speaker?.playing) {
    message.ms = await speaker.stop();
    captions.stopped();
  }
  connection.send(message);
  show();
}

function startOver() {
  hush();
  connection.send({ type: 'reset' });
}

function hush() {
  if (speaker?.playing) captions.stopped();
  speaker?.stop();
}

async function type(text) {
  if (connection.phase === 'on') {
    await openSound();
    if (speaker?.playing) await stopTalking();
  }
  if (connection.phase === 'on') {
    typed.send(text);
    return;
  }
  typed.wait(text);
  if (connection.phase === 'off') connect(false);
  else connection.hurry();
}

// What comes.

const TAKE = {
  hello: ({ language }) => {
    spoken = language;
    typed.sendAll();
  },
  state: (message) => (state = message.state),
  transcript_delta: ({ delta }) => captions.userWords(delta),
  transcript: ({ text, language }) => {
    typed.taken();
    captions.user(text, language ?? spoken);
  },
  withdrawn: () => captions.userGoesOn(),
  nothing_heard: () => {
    captions.userSaidNothing();
    say('nothing_heard');
  },
  reply_began: () => {
    speaker?.begin();
    captions.replyBegins(spoken);
  },
  reply_delta: ({ delta }) => captions.replyWords(delta),
  reply: ({ text }) => captions.reply(text),
  turn: (message) => {
    speaker?.end();
    waterfall.show(message);
    if (!message.failure) notices.hide('error');
  },
  interrupted: () => {
    speaker?.stop();
    captions.stopped();
  },
  duck: () => speaker?.duck(),
  swell: () => speaker?.swell(),
  timer: (message) => timers.take(message),
  reset: () => {
    captions.clear();
    announce(t('forgotten'));
  },
  error: ({ code, message }) => {
    if (code === 'bad_message') typed.giveBack();
    const key = code === 'internal' || known(code) ? code : 'error';
    notices.show('error', () => ({ text: t(key), small: message }));
  },
};

function take(message) {
  TAKE[message.type]?.(message);
  show();
}

function followConnection({ phase, wait_s, again, why }) {
  waits_s = wait_s;
  state = 'idle';
  if (phase !== 'on') {
    hush();
    loseTimers();
    typed.giveBack();
  }
  if (phase === 'waiting') notices.show('link', () => ({ text: t(again && why === 'unreachable' ? 'lost' : why) }));
  else if (phase === 'on') {
    notices.hide('link');
    captions.divide();
    announce(t(again ? 'connected_again' : 'connected'));
    openAll();
  }
  show();
}

function loseTimers() {
  if (timers.count > 0) notices.show('timers', () => ({ text: t('timers_lost') }));
  timers.clear();
}

function refused({ code, message }) {
  closeMicrophone();
  wanted = false;
  if (code === 'token_needed') {
    settings.askToken();
    return;
  }
  typed.takeBack();
  notices.show('link', () => ({ text: t(known(code) ? code : 'refused'), small: message }));
}

// What is shown.

function show() {
  const { phase } = connection;
  const on = phase === 'on';
  const listens = Boolean(microphone?.on);
  let shown = phase;
  if (on) shown = (state === 'idle' || state === 'listening') && !listens ? (wanted || !microphone ? 'idle' : 'muted') : state;
  document.documentElement.dataset.state = shown;
  put(at('state'), t(`state_${shown}`));
  put(at('state-more'), remark ?? more(shown, listens));
  label(at('connect'), phase === 'off' ? 'connect' : 'disconnect');
  at('connect').classList.toggle('primary', phase === 'off');
  label(at('mute'), on && !listens ? 'unmute' : 'mute');
  at('mute').classList.toggle('off', on && !listens);
  enable(at('mute'), on);
  enable(at('stop'), timers.ringing || (on && (speaker?.playing || state === 'thinking' || state === 'speaking')));
  enable(at('reset'), on);
  at('log').setAttribute('aria-live', settings.aloud ? 'off' : 'polite'); // what is spoken is not to be read out as well
  document.title = timers.ringing ? `⏰ ${t('ringing')}` : t('title');
  keepAwake();
}

function more(shown, listens) {
  if (shown === 'waiting') return t('trying', Math.max(1, Math.round(waits_s)));
  if (connection.phase !== 'on' || shown === 'muted') return listens ? '' : t('microphone_off');
  return listens ? t('ear', nameOf(spoken)) : t('no_microphone');
}

/** Say something beside the state, for a moment. */
function say(key) {
  remark = t(key);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => {
    remark = null;
    show();
  }, BRIEF_MS);
}

function announce(text) {
  put(at('announce'), '');
  requestAnimationFrame(() => put(at('announce'), text));
}

function louder(now) {
  const heard = Math.min(1, (6 * now) ** 0.7);
  level = Math.max(heard, level);
  louder.frame ??= requestAnimationFrame(fall);
}

/** The level rises at once and falls slowly, drawn with the screen's own pace. */
function fall() {
  at('orb').style.setProperty('--level', level.toFixed(3));
  level = level < 0.01 ? 0 : level * 0.88;
  louder.frame = level > 0 ? requestAnimationFrame(fall) : undefined;
  if (level === 0) at('orb').style.setProperty('--level', 0);
}

function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function label(button, key) {
  button.dataset.t = key;
  put(button, t(key));
}

/** A button that can do nothing now keeps the focus, and says so. */
function enable(button, can) {
  if (can) button.removeAttribute('aria-disabled');
  else button.setAttribute('aria-disabled', 'true');
}

function press(id, act) {
  at(id).addEventListener('click', () => {
    if (at(id).getAttribute('aria-disabled') !== 'true') act();
  });
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function key(event) {
  if (event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]')) return;
  if (event.key === 'Escape') {
    if (at('stop').getAttribute('aria-disabled') !== 'true') stopTalking();
    return;
  }
  const writes = event.target.closest('input, select, textarea');
  if (!settings.keys || writes || event.ctrlKey || event.metaKey || event.altKey) return;
  const m = /^[ -~]$/.test(event.key) ? event.key.toLowerCase() === 'm' : event.code === 'KeyM'; // ㅡ is on that key
  if (m && connection.phase === 'on' && !event.repeat) toggleMute();
  else if (event.key === '/') {
    event.preventDefault();
    at('say').focus();
  }
}

function comeBack() {
  keepAwake(); // who hides has lost it
  if (document.hidden) return;
  wake();
  connection.hurry();
  connection.check();
}

function start() {
  settings.speak();
  const wide = matchMedia('(min-width: 60rem)');
  at('last-turn').open = wide.matches;
  wide.addEventListener('change', () => (at('last-turn').open = wide.matches));
  press('connect', () => (connection.phase === 'off' ? connect(true) : disconnect()));
  press('mute', toggleMute);
  press('stop', stopTalking);
  press('reset', startOver);
  at('type').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = at('say').value.trim();
    at('say').value = '';
    if (text) type(text);
  });
  document.addEventListener('keydown', key);
  document.addEventListener('visibilitychange', comeBack);
  window.addEventListener('online', comeBack);
  window.addEventListener('pageshow', ({ persisted }) => persisted && comeBack());
  navigator.mediaDevices?.addEventListener('devicechange', () => {
    if (wanted && connection.phase !== 'off') openMicrophone();
  });
  connection.addEventListener('phase', ({ detail }) => followConnection(detail));
  connection.addEventListener('message', ({ detail }) => take(detail));
  connection.addEventListener('sound', ({ detail }) => speaker?.add(detail));
  connection.addEventListener('house', ({ detail }) => settings.adopt(detail));
  connection.addEventListener('refused', ({ detail }) => refused(detail));
  settings.addEventListener('page', () => {
    notices.draw();
    waterfall.draw();
    timers.draw();
    show();
  });
  settings.addEventListener('talk', () => connection.phase !== 'off' && connection.open());
  settings.addEventListener('aloud', () => {
    if (speaker) speaker.audible = settings.aloud;
    show();
  });
  settings.addEventListener('token', () => connect(asked));
  settings.addEventListener('known', look);
  settings.addEventListener('declined', () => typed.takeBack());
  settings.addEventListener('forgotten', () => {
    disconnect();
    announce(t('token_forgotten'));
  });
  timers.addEventListener('stop', ({ detail }) => connection.send({ type: 'timer_stop', id: detail.id }));
  timers.addEventListener('over', ({ detail }) => announce(t('timer_over', detail.name)));
  timers.addEventListener('change', show);
  show();
  look();
}

/** Ask what this daemon is, for the settings; why it is not there is said when it is needed. */
function look() {
  connection.look().catch(() => {});
}

start();
