import { clock, el, span, textOf } from './data.js';

// Figures: how long people waited, turn by turn.

/**
 * @typedef {import('./data.js').Data} Data
 * @typedef {import('./data.js').Spread} Spread
 * @typedef {import('./view.js').View} View
 */

/** @param {string} id @param {string} caption @param {string[]} head @param {(Node | string)[][]} rows @param {(Node | string)[][]} [foot] */
function table(id, caption, head, rows, foot = []) {
  const cells = (/** @type {(Node | string)[]} */ row) =>
    el('tr', {}, ...row.map((cell) => el('td', {}, cell)));
  return el(
    'table',
    { id },
    el('caption', {}, caption),
    el('thead', {}, el('tr', {}, ...head.map((name) => el('th', { scope: 'col' }, name)))),
    el('tbody', {}, ...rows.map(cells)),
    el('tfoot', {}, ...foot.map(cells)),
  );
}

/** @param {number} ms @param {View} view */
function timeButton(ms, view) {
  const button = el('button', { type: 'button', class: 'time' }, clock(ms, 1));
  button.addEventListener('click', () => view.jump(ms));
  return button;
}

/** NaN: it is not known. @param {number} ms @param {number} slow @param {number} bad */
function figure(ms, slow, bad) {
  if (Number.isNaN(ms)) return '–';
  return el('span', { class: ms > bad ? 'bad' : ms > slow ? 'slow' : '' }, span(ms));
}

/** @param {import('./data.js').Story} story @param {number | undefined} firstHeard @param {View} view */
function answerRows({ answers, turns }, firstHeard, view) {
  const words = new Map(turns.map((turn) => [turn.itemId, textOf(turn).slice(0, 80)]));
  return answers.map(({ stoppedMs, sentMs, heardMs, itemId = '' }) => {
    const sinceMs = stoppedMs ?? (heardMs === firstHeard ? 0 : Number.NaN);
    const since = stoppedMs === undefined ? (sinceMs === 0 ? 'the webhook' : 'unasked') : clock(stoppedMs, 1);
    return [
      timeButton(heardMs, view),
      el('bdi', {}, words.get(itemId) ?? ''),
      since,
      figure((sentMs ?? Number.NaN) - sinceMs, 1000, 2000),
      figure(heardMs - sinceMs, 1200, 2000),
    ];
  });
}

/** @param {import('./data.js').Story} story @param {View} view */
function functionRows({ functions }, view) {
  return functions.map(({ name, startMs, endMs = Number.NaN, outcome, isError, args, result }) => [
    timeButton(startMs, view),
    el('bdi', {}, name),
    figure(endMs - startMs, 1500, 3000),
    el(
      'span',
      { class: isError ? 'bad' : '' },
      outcome ?? (Number.isNaN(endMs) ? 'never answered' : 'answered'),
    ),
    el('code', { dir: 'auto' }, `${args.slice(0, 200)} → ${result.slice(0, 200)}`),
  ]);
}

/** @param {Data} data @param {View} view */
export function tables({ story, latencies, facts }, view) {
  const answers = answerRows(story, latencies.firstHeard, view);
  const both = (/** @type {keyof Spread} */ name) => [
    name,
    '',
    '',
    span(latencies.toSent?.[name]),
    span(latencies.toHeard?.[name]),
  ];
  const cuts = story.cutIns.map(({ spokeMs, clearMs, by, lostMs }) => [
    timeButton(clearMs, view),
    by ?? '–',
    spokeMs === undefined ? '–' : clock(spokeMs, 2),
    figure(clearMs - (spokeMs ?? Number.NaN), 400, 700),
    span(lostMs),
  ]);
  const head = ['at', 'agent says', 'since', 'first audio to the carrier', 'first heard'];
  const parts = [
    table(
      'answers',
      'Answers: how long the caller waited',
      head,
      answers,
      story.answers.length > 0 ? [both('p50'), both('max')] : [],
    ),
  ];
  if (cuts.length > 0) {
    const spread = latencies.toClear;
    const foot =
      spread === undefined
        ? []
        : [
            ['p50', '', '', span(spread.p50), ''],
            ['max', '', '', span(spread.max), ''],
          ];
    parts.push(
      table(
        'cut-ins',
        'Cut-ins: how long the agent spoke on',
        ['cleared at', 'noticed by', 'caller began', 'until the clear', 'speech dropped'],
        cuts,
        foot,
      ),
    );
  }
  if (story.functions.length > 0) {
    const names = ['at', 'function', 'took', 'outcome', 'arguments → result'];
    parts.push(table('functions', 'Functions', names, functionRows(story, view)));
  }
  const list = el('dl', { id: 'facts' });
  for (const [name, value] of facts) list.append(el('dt', {}, name), el('dd', { dir: 'auto' }, value));
  return el(
    'div',
    { class: 'columns' },
    el('section', { class: 'panel' }, el('h2', {}, 'Latencies'), ...parts),
    el('section', { class: 'panel' }, el('h2', {}, 'The call'), list),
  );
}
