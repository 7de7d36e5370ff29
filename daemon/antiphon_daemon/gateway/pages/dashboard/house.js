// What is beside the turns: figures, stages, peers, engines, the process.

import { at, element, fill } from './dom.js';
import { lasting, megabytes, ms, number, percent } from './figures.js';
import { STAGES } from './waterfall.js';
import { known, t } from './words.js';

const MEASURED = STAGES.filter((stage) => stage !== 'speech');

/** Show the state that the daemon tells. */
export function drawHouse(state) {
  drawFigures(state.summary);
  drawStages(state.summary);
  drawPeers(state.peers);
  drawEngines(state.engines);
  drawProcess(state);
}

function drawFigures(summary) {
  const first = summary.stages.first_audio;
  const all = summary.turns;
  const figures = [
    ['first_sound', ms(first?.p50_ms), first ? t('at_p95', ms(first.p95_ms)) : t('nothing_spoken')],
    ['hits', percent(summary.hits, summary.could_hit), t('of', number(summary.hits), number(summary.could_hit))],
    ['waste', ms(summary.wasted_ms), t('in_drafts', number(summary.drafts))],
    ['interrupted', number(summary.interrupted), t('of_turns', number(all))],
    ['failed', number(summary.failed), t('of_turns', number(all))],
  ];
  at('figures').replaceChildren(...figures.map(([key, value, more]) => {
    const bad = key === 'failed' && summary.failed > 0;
    return element('div', bad ? 'figure bad' : 'figure', element('dt', '', t(key)), element('dd', 'value', value), element('dd', 'soft', more));
  }));
}

function drawStages(summary) {
  const had = MEASURED.filter((stage) => summary.stages[stage]);
  at('stages').hidden = had.length === 0;
  at('stages-none').hidden = had.length > 0;
  at('stages-caption').textContent = t('stages_caption', number(summary.turns));
  fill(at('stages').tBodies[0], had.map((stage) => {
    const { n, p50_ms, p95_ms } = summary.stages[stage];
    const name = { parts: [element('span', `key ${stage}`), t(`stage_${stage}`)] };
    return [name, numeric(ms(p50_ms)), numeric(ms(p95_ms)), numeric(number(n))];
  }));
}

function drawPeers(peers) {
  at('peers').hidden = peers.length === 0;
  at('peers-none').hidden = peers.length > 0;
  fill(at('peers').tBodies[0], peers.map((peer) => {
    const [name, address] = [peer.name, peer.address].map((text) => text.replace('tcp://', ''));
    const parts = [element('span', 'kind', t(`kind_${peer.kind}`)), ' ', element('span', 'name', name)];
    if (name !== address && !address.startsWith(`${name}:`)) parts.push(element('span', 'soft address', address));
    if (peer.why) parts.push(Object.assign(element('span', 'soft address', peer.why.replaceAll('tcp://', '')), { lang: 'en' }));
    const state = element('span', `state ${peer.state}`, known(`peer_${peer.state}`) ? t(`peer_${peer.state}`) : peer.state);
    return [{ parts, name: 'break' }, { parts: [state] }, numeric(lasting(peer.connected_s))];
  }));
}

function drawEngines(engines) {
  fill(at('engines').tBodies[0], engines.map(({ stage, name, well, load }) => {
    const parts = [element('span', 'kind', t(`engine_${stage}`)), ' ', element('span', 'name', name)];
    if (!well) parts.push(element('span', 'fault address', t('engine_ill')));
    if (!load) return [{ parts, name: 'break' }, numeric('–'), numeric('–'), { text: t('elsewhere'), name: 'number soft' }];
    return [{ parts, name: 'break' }, numeric(t('of', number(load.running), number(load.threads))), numeric(number(load.waiting)), busy(load.busy)];
  }));
}

function busy(share) {
  const bar = element('span', 'load');
  bar.style.setProperty('--share', share);
  return { parts: [bar, percent(share)], name: 'number' };
}

function drawProcess({ process, sessions, version, count, transcripts }) {
  const { loop } = process;
  const facts = [
    ['version', version],
    ['uptime', lasting(process.uptime_s)],
    ['turns_count', number(count)],
    ['sessions', t('of', number(sessions.open), number(sessions.most))],
    ['memory', process.rss_bytes === null ? t('at_most', megabytes(process.rss_most_bytes)) : megabytes(process.rss_bytes)],
    ['cpu', lasting(process.cpu_s)],
    ['descriptors', process.descriptors === null ? '–' : t('of', number(process.descriptors), number(process.descriptors_most))],
    ['threads', number(process.threads)],
    ['lag', loop.last_ms === null ? '–' : t('lag_most', number(loop.last_ms, 1), number(loop.most_ms, 1))],
    ['transcripts', t(transcripts ? 'transcripts_on' : 'transcripts_off')],
  ];
  at('process').replaceChildren(...facts.map(([key, value]) => element('div', '', element('dt', '', t(key)), element('dd', '', value))));
}

function numeric(text) {
  return { text, name: 'number' };
}
