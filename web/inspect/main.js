import { clock, el, readData, span } from './data.js';
import { events } from './events.js';
import { Player } from './sound.js';
import { tables } from './tables.js';
import { talk } from './talk.js';
import { timeline } from './timeline.js';
import { View } from './view.js';

const data = readData();
const view = new View(data.lengthMs);
const player = new Player(view, data.silent !== undefined);
const page = /** @type {HTMLElement} */ (document.getElementById('page'));
page.append(header(), toolbar(), timeline(data, view), columns(), tables(data, view), help());
view.moveCursor(0, false);
view.changed();
document.addEventListener('keydown', onKey);

/** What went wrong stands first: somebody was woken up by it. */
function header() {
  const { findings, end } = data.story;
  const worst = findings[0]?.level ?? 'good';
  const failed = findings.filter(({ level }) => level === 'bad').length;
  const slow = findings.filter(({ level }) => level === 'slow').length;
  const counts = `${failed} ${failed === 1 ? 'failure' : 'failures'}, ${slow} slow`;
  const verdict = worst === 'bad' || worst === 'slow' ? counts : 'nothing failed and nothing was slow';
  const list = el('ol', { class: 'findings', id: 'findings' });
  for (const { atMs, level, text } of findings) {
    const button = el(
      'button',
      { type: 'button', 'data-at': atMs },
      el('span', { class: 'time' }, clock(atMs, 1)),
      el('bdi', {}, text),
    );
    button.addEventListener('click', () => {
      view.jump(atMs);
      if (view.widthMs > 20_000) view.show(atMs - 6000, 15_000);
    });
    list.append(el('li', { class: level }, button));
  }
  const fact = (/** @type {string} */ name) => data.facts.find(([one]) => one === name)?.[1] ?? '';
  const line = [
    fact('carrier').split(',')[0],
    fact('agent'),
    fact('providers'),
    clock(data.lengthMs, 0),
    end?.reason ?? 'no end',
  ];
  const proves = fact('proves');
  return el(
    'header',
    { class: `verdict ${worst}` },
    el('h1', { dir: 'auto' }, data.title),
    el('p', { class: 'line' }, ...line.filter((part) => part !== '').map((part) => el('bdi', {}, part))),
    ...(proves === '' ? [] : [el('p', { class: 'proves', dir: 'auto' }, proves)]),
    el('p', { class: 'summary', id: 'verdict' }, `${verdict}${waits()}`),
    list,
  );
}

function waits() {
  const { toHeard, firstHeard } = data.latencies;
  const first = firstHeard === undefined ? '' : `, first word heard after ${span(firstHeard)}`;
  return toHeard === undefined
    ? first
    : `${first}, answers after ${span(toHeard.p50)} (p50), ${span(toHeard.max)} (max)`;
}

function toolbar() {
  const play = el(
    'button',
    { type: 'button', id: 'play', class: 'play', 'aria-keyshortcuts': 'Space' },
    '▶ play',
  );
  play.addEventListener('click', () => player.toggle());
  const time = el('output', { class: 'now', id: 'now' }, clock(0));
  view.onCursor(() => {
    time.textContent = clock(view.cursorMs);
  });
  const sides = /** @type {const} */ (['both', 'caller', 'agent']).map((side) => {
    const button = el(
      'button',
      { type: 'button', class: 'chip', 'data-side': side, 'aria-pressed': String(side === 'both') },
      side,
    );
    button.addEventListener('click', () => player.choose(side));
    return button;
  });
  player.onChange(() => {
    play.textContent = player.playing ? '⏸ pause' : '▶ play';
    for (const button of sides)
      button.setAttribute('aria-pressed', String(button.dataset.side === player.side));
  });
  const rate = el('select', { id: 'rate', 'aria-label': 'speed' });
  for (const value of ['0.5', '1', '1.5', '2'])
    rate.append(el('option', { value, selected: value === '1' }, `${value}×`));
  rate.addEventListener('change', () => player.setRate(Number(rate.value)));
  const zooms = [
    button('zoom-in', '+', 'closer', () => view.zoom(2)),
    button('zoom-out', '−', 'further away', () => view.zoom(0.5)),
    button('fit', 'all', 'the whole call', () => view.fit()),
  ];
  const silent = el('span', { class: 'silent', id: 'silent', role: 'status' });
  if (data.silent !== undefined) silent.textContent = `no sound: ${data.silent}`;
  player.onChange(() => {
    if (player.error !== '') silent.textContent = `no sound: ${player.error}`;
  });
  return el(
    'div',
    { class: 'toolbar', role: 'toolbar', 'aria-label': 'play and zoom' },
    play,
    time,
    el('span', { class: 'group', role: 'group', 'aria-label': 'who is heard' }, ...sides),
    rate,
    el('span', { class: 'group', role: 'group', 'aria-label': 'zoom' }, ...zooms),
    silent,
  );
}

/** @param {string} id @param {string} text @param {string} label @param {() => void} run */
function button(id, text, label, run) {
  const made = el('button', { type: 'button', class: 'chip', id, 'aria-label': label, title: label }, text);
  made.addEventListener('click', run);
  return made;
}

function columns() {
  return el('div', { class: 'columns' }, talk(data, view), events(data, view));
}

function help() {
  const keys = [
    ['Space', 'play, pause'],
    ['← →', 'a second back, on; with Shift 20 ms'],
    ['+ − 0', 'closer, further, all'],
    ['n p', 'next, previous finding'],
    ['1 2 3', 'hear both, caller, agent'],
    ['/', 'search events'],
  ];
  const list = el('dl', { class: 'keys' });
  for (const [key, what] of keys) list.append(el('dt', {}, el('kbd', {}, key)), el('dd', {}, what));
  return el(
    'footer',
    {},
    list,
    el(
      'p',
      {},
      'Drag to move, click to put the cursor, Ctrl or Alt with the wheel to zoom. Times count from the first webhook.',
    ),
  );
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target instanceof HTMLElement ? event.target : document.body;
  if (target.matches('input, select, textarea')) return;
  // A button is pressed by the space bar itself.
  if (event.key === ' ' && target.matches('button, summary')) return;
  const step = event.shiftKey ? 20 : 1000;
  /** @type {Record<string, () => void>} */
  const actions = {
    ' ': () => player.toggle(),
    ArrowLeft: () => view.jump(view.cursorMs - step),
    ArrowRight: () => view.jump(view.cursorMs + step),
    Home: () => view.jump(0),
    End: () => view.jump(view.lengthMs),
    '+': () => view.zoom(2),
    '=': () => view.zoom(2),
    '-': () => view.zoom(0.5),
    0: () => view.fit(),
    n: () => nextFinding(1),
    p: () => nextFinding(-1),
    1: () => player.choose('both'),
    2: () => player.choose('caller'),
    3: () => player.choose('agent'),
    '/': () => document.getElementById('search')?.focus(),
  };
  const action = actions[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action();
}

/** @param {1 | -1} way */
function nextFinding(way) {
  const times = data.story.findings.map(({ atMs }) => atMs).sort((a, b) => a - b);
  const found =
    way > 0 ? times.find((ms) => ms > view.cursorMs + 1) : times.findLast((ms) => ms < view.cursorMs - 1);
  if (found !== undefined) view.jump(found);
}
