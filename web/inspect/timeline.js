import { bytesOf, clock, el } from './data.js';
import { lanesOf, Peaks } from './lanes.js';

// The lanes below each other, with one cursor through all of them, and the whole call above.

/**
 * @typedef {import('./data.js').Data} Data
 * @typedef {import('./view.js').View} View
 */

const COLOURS = [
  'paper',
  'ink',
  'faint',
  'line',
  'caller',
  'callerPale',
  'agent',
  'agentPale',
  'lost',
  'bad',
  'badPale',
  'slow',
  'functionPale',
  'providerPale',
  'otherPale',
  'window',
];

/** @returns {Record<string, string>} */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** @param {HTMLCanvasElement} canvas */
function sheetOf(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** @param {Data} data @param {View} view */
export function timeline(data, view) {
  const { bucketMs, said, heard, unheard } = data.peaks;
  const peaks = {
    said: new Peaks(bytesOf(said), bucketMs),
    heard: new Peaks(bytesOf(heard), bucketMs),
    unheard: new Peaks(bytesOf(unheard), bucketMs),
  };
  const lanes = lanesOf(data, peaks).map((lane) => {
    const canvas = el('canvas', { id: `lane-${lane.id}`, role: 'img', 'aria-label': lane.says });
    canvas.style.height = `${lane.height}px`;
    return { ...lane, canvas };
  });
  const cursor = el('div', { class: 'cursor', id: 'cursor', 'aria-hidden': 'true' });
  const sheets = el('div', {
    class: 'lanes',
    id: 'lanes',
    tabindex: 0,
    role: 'slider',
    'aria-label': 'place in the call',
    'aria-valuemin': 0,
    'aria-valuemax': Math.round(data.lengthMs),
  });
  sheets.append(...lanes.map(({ canvas }) => canvas), cursor);
  const titles = el('div', { class: 'titles', 'aria-hidden': 'true' });
  for (const { title, height } of lanes) {
    const row = el('div', {}, title);
    row.style.height = `${height}px`;
    titles.append(row);
  }
  const overview = el('canvas', {
    id: 'overview',
    role: 'img',
    'aria-label': 'the whole call; drag to move what is shown',
  });
  const hint = el('div', { class: 'hint', id: 'hint' }, ' ');

  let colours = readColours();
  function draw() {
    for (const { canvas, draw: drawLane } of lanes) {
      const sheet = sheetOf(canvas);
      const x = (/** @type {number} */ ms) => ((ms - view.fromMs) / view.widthMs) * sheet.width;
      drawLane({ ...sheet, view, colours, x });
    }
    drawOverview();
    placeCursor();
  }

  function drawOverview() {
    const { context, width, height } = sheetOf(overview);
    const perPixel = data.lengthMs / width;
    for (let x = 0; x < width; x += 1) {
      const up = peaks.said.most(x * perPixel, (x + 1) * perPixel) * (height / 2);
      const down = peaks.heard.most(x * perPixel, (x + 1) * perPixel) * (height / 2);
      context.fillStyle = colours.caller;
      context.fillRect(x, height / 2 - up, 1, up);
      context.fillStyle = colours.agent;
      context.fillRect(x, height / 2, 1, down);
    }
    for (const { atMs, level } of data.story.findings) {
      if (level === 'note') continue;
      context.fillStyle = level === 'bad' ? colours.bad : colours.slow;
      context.fillRect((atMs / data.lengthMs) * width - 1, 0, 3, 6);
    }
    context.fillStyle = colours.window;
    const from = (view.fromMs / data.lengthMs) * width;
    context.fillRect(from, 0, Math.max(2, (view.widthMs / data.lengthMs) * width), height);
  }

  function placeCursor() {
    const x = ((view.cursorMs - view.fromMs) / view.widthMs) * sheets.clientWidth;
    cursor.hidden = x < 0 || x > sheets.clientWidth;
    cursor.style.transform = `translateX(${x}px)`;
    sheets.setAttribute('aria-valuenow', String(Math.round(view.cursorMs)));
    sheets.setAttribute('aria-valuetext', `${clock(view.cursorMs, 1)} of ${clock(view.lengthMs, 1)}`);
  }

  view.onChange(draw);
  view.onCursor(placeCursor);
  new ResizeObserver(draw).observe(sheets);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    colours = readColours();
    draw();
  });
  handle(sheets, overview, lanes, hint, view);
  return el(
    'section',
    { class: 'timeline', 'aria-label': 'time line' },
    overview,
    el('div', { class: 'stack' }, titles, sheets),
    hint,
  );
}

/**
 * @param {HTMLElement} sheets @param {HTMLCanvasElement} overview
 * @param {(import('./lanes.js').Lane & { canvas: HTMLCanvasElement })[]} lanes
 * @param {HTMLElement} hint @param {View} view
 */
function handle(sheets, overview, lanes, hint, view) {
  const timeAt = (/** @type {MouseEvent} */ event) => {
    const box = sheets.getBoundingClientRect();
    return view.fromMs + ((event.clientX - box.left) / box.width) * view.widthMs;
  };
  let startX = 0;
  let startFrom = 0;
  let dragged = false;
  sheets.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    startX = event.clientX;
    startFrom = view.fromMs;
    dragged = false;
    sheets.setPointerCapture(event.pointerId);
  });
  sheets.addEventListener('pointermove', (event) => {
    tell(event);
    if (!sheets.hasPointerCapture(event.pointerId)) return;
    const moved = event.clientX - startX;
    dragged ||= Math.abs(moved) > 4;
    if (dragged) view.show(startFrom - (moved / sheets.clientWidth) * view.widthMs, view.widthMs);
  });
  sheets.addEventListener('pointerup', (event) => {
    if (sheets.hasPointerCapture(event.pointerId) && !dragged) view.jump(timeAt(event));
  });
  sheets.addEventListener('dblclick', (event) => view.zoom(4, timeAt(event)));
  sheets.addEventListener('wheel', (event) => onWheel(event), { passive: false });

  /** Alone it scrolls the page, as everywhere. @param {WheelEvent} event */
  function onWheel(event) {
    const isZoom = event.ctrlKey || event.metaKey || event.altKey;
    const sideways = sidewaysOf(event);
    if (!isZoom && sideways === 0) return;
    event.preventDefault();
    if (isZoom) view.zoom(1.0025 ** -event.deltaY, timeAt(event));
    else view.pan((sideways / sheets.clientWidth) * view.widthMs);
  }

  /** @param {PointerEvent} event */
  function tell(event) {
    const ms = timeAt(event);
    const lane = lanes.find(({ canvas }) => {
      const box = canvas.getBoundingClientRect();
      return event.clientY >= box.top && event.clientY < box.bottom;
    });
    const nearMs = (view.widthMs / sheets.clientWidth) * 6;
    hint.textContent = `${clock(ms)}  ${lane?.tell(ms, nearMs) ?? ''}`;
  }

  const centre = (/** @type {PointerEvent} */ event) => {
    const box = overview.getBoundingClientRect();
    const ms = ((event.clientX - box.left) / box.width) * view.lengthMs;
    view.show(ms - view.widthMs / 2, view.widthMs);
    if (event.type === 'pointerdown' && view.widthMs >= view.lengthMs) view.jump(ms);
  };
  overview.addEventListener('pointerdown', (event) => {
    overview.setPointerCapture(event.pointerId);
    centre(event);
  });
  overview.addEventListener('pointermove', (event) => {
    if (overview.hasPointerCapture(event.pointerId)) centre(event);
  });
}

/** How far a wheel wants to go sideways, in pixels; 0: it does not. @param {WheelEvent} event */
function sidewaysOf({ shiftKey, deltaX, deltaY }) {
  if (shiftKey) return deltaY || deltaX;
  return Math.abs(deltaX) > Math.abs(deltaY) ? deltaX : 0;
}
