import { clock, el, firstFrom } from './data.js';

// Everything that crossed an edge of the process, to search. Only the rows that are seen exist.

/**
 * @typedef {import('./data.js').Data} Data
 * @typedef {import('./data.js').Event} Event
 * @typedef {import('./view.js').View} View
 */

const ROW = 24;
/** Come often and say little each. */
const HIDDEN_AT_FIRST = ['mark', 'text'];

/** @param {Data} data @param {View} view */
export function events(data, view) {
  const hidden = new Set(HIDDEN_AT_FIRST.map((kind) => data.kinds.indexOf(kind)));
  /** @type {Event[]} */
  let shown = [];
  let selected = -1;
  const search = el('input', {
    type: 'search',
    id: 'search',
    placeholder: 'search events',
    'aria-label': 'search events',
  });
  const onlyBad = el(
    'button',
    { type: 'button', class: 'chip', id: 'only-bad', 'aria-pressed': 'false' },
    'only trouble',
  );
  const chips = data.kinds.map((kind, index) => {
    const count = data.events.reduce((sum, event) => sum + (event[1] === index ? 1 : 0), 0);
    const chip = el(
      'button',
      { type: 'button', class: 'chip', 'data-kind': kind, 'aria-pressed': String(!hidden.has(index)) },
      `${kind} ${count}`,
    );
    chip.disabled = count === 0;
    chip.addEventListener('click', () => {
      if (!hidden.delete(index)) hidden.add(index);
      chip.setAttribute('aria-pressed', String(!hidden.has(index)));
      filter();
    });
    return chip;
  });
  const count = el('span', { class: 'count', id: 'event-count', role: 'status' });
  const space = el('div', { class: 'space' });
  const list = el(
    'div',
    { class: 'events', id: 'events', tabindex: 0, role: 'listbox', 'aria-label': 'events' },
    space,
  );
  const detail = el(
    'pre',
    { class: 'detail', id: 'detail', tabindex: 0, 'aria-label': 'the event as it was written' },
    'Choose an event.',
  );

  function filter() {
    const kept = shown[selected];
    const wanted = search.value.trim().toLowerCase();
    const bad = onlyBad.getAttribute('aria-pressed') === 'true';
    shown = data.events.filter((event) => {
      if (bad && event[5] === 0) return false;
      // Who searches, searches everywhere.
      if (wanted === '') return bad || !hidden.has(event[1]);
      return `${event[3]} ${event[4]} ${event[6] ?? ''}`.toLowerCase().includes(wanted);
    });
    selected = kept === undefined ? -1 : shown.indexOf(kept);
    space.style.height = `${shown.length * ROW}px`;
    count.textContent = `${shown.length} of ${data.events.length}`;
    draw();
  }

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
    const rows = [];
    for (let index = first; index < last; index += 1) rows.push(rowOf(shown[index], index));
    space.replaceChildren(...rows);
    if (selected >= 0) list.setAttribute('aria-activedescendant', `event-${selected}`);
    else list.removeAttribute('aria-activedescendant');
  }

  /** @param {Event} event @param {number} index */
  function rowOf([atMs, kind, dir, label, note, bad], index) {
    const row = el(
      'div',
      {
        class: bad ? 'event bad' : 'event',
        id: `event-${index}`,
        role: 'option',
        'data-index': index,
        'aria-selected': String(index === selected),
        'aria-setsize': shown.length,
        'aria-posinset': index + 1,
      },
      el('span', { class: 'time' }, clock(atMs)),
      el('span', { class: 'kind' }, `${dir === 0 ? '→' : '←'} ${data.kinds[kind]}`),
      el('bdi', { class: 'label' }, label),
      el('bdi', { class: 'note' }, note),
    );
    row.style.transform = `translateY(${index * ROW}px)`;
    return row;
  }

  /** @param {number} index @param {boolean} jump */
  function select(index, jump) {
    const event = shown[index];
    if (event === undefined) return;
    selected = index;
    const top = index * ROW;
    if (top < list.scrollTop || top + ROW > list.scrollTop + list.clientHeight)
      list.scrollTop = top - list.clientHeight / 2;
    detail.textContent =
      event[6] === undefined
        ? 'There was no room for what it says: search for it in events.jsonl.'
        : pretty(event[6]);
    if (jump) view.jump(event[0]);
    draw();
  }

  search.addEventListener('input', filter);
  onlyBad.addEventListener('click', () => {
    onlyBad.setAttribute('aria-pressed', String(onlyBad.getAttribute('aria-pressed') !== 'true'));
    filter();
  });
  list.addEventListener('scroll', draw);
  list.addEventListener('click', (event) => {
    const row = event.target instanceof Element ? event.target.closest('.event') : null;
    if (row instanceof HTMLElement) select(Number(row.dataset.index), true);
  });
  list.addEventListener('keydown', (event) => {
    const page = Math.floor(list.clientHeight / ROW);
    /** @type {Record<string, number>} */
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -shown.length,
      End: shown.length,
    };
    const step = steps[event.key];
    if (event.key === 'Enter' && selected >= 0) view.jump(shown[selected][0]);
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    select(Math.min(shown.length - 1, Math.max(0, selected + step)), true);
  });
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      search.value = '';
      filter();
      search.blur();
    }
    if (event.key === 'Enter' || event.key === 'ArrowDown') {
      event.preventDefault();
      list.focus();
      select(
        Math.max(0, firstFrom(shown, view.cursorMs, ([atMs]) => atMs) % Math.max(1, shown.length)),
        true,
      );
    }
  });
  new ResizeObserver(draw).observe(list);
  // Follows the cursor: the event before it is in the middle.
  view.onCursor((byHand) => {
    if (!byHand || list.matches(':focus-within') || list.matches(':hover')) return;
    const index = firstFrom(shown, view.cursorMs - 1, ([atMs]) => atMs);
    list.scrollTop = index * ROW - list.clientHeight / 2;
  });
  filter();
  return el(
    'section',
    { class: 'panel' },
    el('h2', {}, 'Events ', count),
    el('div', { class: 'filters' }, search, onlyBad, ...chips),
    list,
    detail,
  );
}

/** @param {string} json */
function pretty(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
