import { clock, el, span } from './data.js';

// What was said, as people read it, with the functions, keys and changes of provider between.

/**
 * @typedef {import('./data.js').Data} Data
 * @typedef {import('./data.js').Turn} Turn
 * @typedef {import('./view.js').View} View
 */

/** @param {Turn} turn @param {View} view */
function turnRow(turn, view) {
  const text = el('p', { dir: 'auto', class: 'words' });
  for (const [word, atMs, heard] of turn.words) {
    const piece = el(heard ? 'span' : 's', { class: 'word', 'data-at': atMs }, word);
    text.append(piece, ' ');
  }
  if (turn.left > 0) text.append(`… ${turn.left} words more`);
  text.addEventListener('click', (event) => {
    const at = event.target instanceof HTMLElement ? event.target.dataset.at : undefined;
    if (at !== undefined) view.jump(Number(at));
  });
  const isCaller = turn.role === 'user';
  const notes = [];
  if (turn.interrupted) notes.push(el('span', { class: 'tag bad' }, 'cut off'));
  if (!turn.final) notes.push(el('span', { class: 'tag' }, 'not finished'));
  return row(turn.startMs, isCaller ? 'caller' : 'agent', view, text, ...notes);
}

/** @param {number} atMs @param {string} who @param {View} view @param {...Node} content */
function row(atMs, who, view, ...content) {
  const time = el('button', { type: 'button', class: 'time', 'data-at': atMs }, clock(atMs, 1));
  time.addEventListener('click', () => view.jump(atMs));
  return el('li', { class: who }, time, el('div', {}, el('span', { class: 'who' }, who), ...content));
}

/** @typedef {import('./data.js').Story} Story */
/** @typedef {{ atMs: number, node: HTMLElement }} Row */

/** What people said, each answer with how long it was waited for. @param {Story} story @param {View} view @returns {Row[]} */
function turnRows({ turns, answers }, view) {
  return turns.map((turn) => {
    const node = turnRow(turn, view);
    const answer = answers.find(({ itemId, stoppedMs }) => itemId === turn.itemId && stoppedMs !== undefined);
    if (answer?.stoppedMs !== undefined) {
      const ms = answer.heardMs - answer.stoppedMs;
      const tag = el('span', { class: ms > 2000 ? 'tag bad' : 'tag' }, `after ${span(ms)}`);
      node.querySelector('.who')?.after(tag);
    }
    return { atMs: turn.startMs, node };
  });
}

/** @param {import('./data.js').FunctionCall} call @param {View} view @returns {Row} */
function functionRow({ name, startMs, endMs, outcome, isError, args, result, did }, view) {
  const took = endMs === undefined ? 'never answered' : `${outcome ?? 'answered'}, ${span(endMs - startMs)}`;
  const isBad = isError || endMs === undefined;
  const lines = [
    args,
    `→ ${result === '' ? 'nothing' : result}`,
    ...(did.length > 0 ? [`(${did.join(', ')})`] : []),
  ];
  const body = el(
    'details',
    {},
    el('summary', {}, el('bdi', {}, name), ' ', el('span', { class: isBad ? 'tag bad' : 'tag' }, took)),
    el('pre', {}, lines.join('\n')),
  );
  return { atMs: startMs, node: row(startMs, 'function', view, body) };
}

/** Who held the call, and who failed to. @param {Story} story @param {View} view @returns {Row[]} */
function providerRows({ spans, failures }, view) {
  const held = spans.map(({ fromMs, provider, model, why }) => {
    const text = el('span', {}, `${provider} ${model ?? ''} (${why})`);
    return { atMs: fromMs, node: row(fromMs, 'provider', view, text) };
  });
  const failed = failures.map(({ atMs, provider, phase, code }) => {
    const text = el('span', { class: 'bad' }, `${provider} failed ${phase}: ${code}`);
    return { atMs, node: row(atMs, 'provider', view, text) };
  });
  return [...held, ...failed];
}

/** @param {Data} data @param {View} view */
export function talk({ story }, view) {
  const rows = [
    ...turnRows(story, view),
    ...story.functions.map((call) => functionRow(call, view)),
    ...story.keys.map(({ atMs, key }) => ({ atMs, node: row(atMs, 'key', view, el('kbd', {}, key)) })),
    ...providerRows(story, view),
    ...story.notes.map(({ atMs, text, bad }) => {
      const content = el('span', { class: bad ? 'bad' : '' }, text);
      return { atMs, node: row(atMs, 'call', view, content) };
    }),
  ];
  if (story.end !== undefined) {
    const text = el('span', {}, `call ends: ${story.end.reason}`);
    rows.push({ atMs: story.end.atMs, node: row(story.end.atMs, 'end', view, text) });
  }
  rows.sort((a, b) => a.atMs - b.atMs);
  const list = el(
    'ol',
    { class: 'talk', id: 'talk', tabindex: 0, 'aria-label': 'what was said' },
    ...rows.map(({ node }) => node),
  );
  /** @type {HTMLElement | undefined} */
  let current;
  view.onCursor((byHand) => {
    const now = rows.findLast(({ atMs }) => atMs <= view.cursorMs + 1)?.node;
    if (now === current) return;
    current?.classList.remove('now');
    now?.classList.add('now');
    current = now;
    if (now !== undefined && (byHand || !list.matches(':hover'))) keepSeen(list, now);
  });
  if (rows.length === 0) list.append(el('li', { class: 'empty' }, 'Nothing is known of what was said.'));
  return el('section', { class: 'panel' }, el('h2', {}, 'What was said'), list);
}

/** Scrolls the list, and not the page. @param {HTMLElement} list @param {HTMLElement} item */
export function keepSeen(list, item) {
  const top = item.offsetTop - list.offsetTop;
  const isSeen = top >= list.scrollTop && top + item.offsetHeight <= list.scrollTop + list.clientHeight;
  if (!isSeen) list.scrollTop = top - list.clientHeight / 3;
}
