import { clock, firstFrom, span, textOf } from './data.js';

// How each lane of the time line is drawn. A lane gets a canvas context in CSS pixels, and says what lies at a time.

/**
 * @typedef {import('./data.js').Data} Data
 * @typedef {import('./view.js').View} View
 * @typedef {Record<string, string>} Colours
 * @typedef {{ context: CanvasRenderingContext2D, width: number, height: number, view: View, colours: Colours,
 *   x: (ms: number) => number }} Sheet
 * @typedef {{ id: string, title: string, says: string, height: number, draw: (sheet: Sheet) => void,
 *   tell: (ms: number, nearMs: number) => string | undefined }} Lane
 */

/** Pixels that the text of a pin takes. */
const PIN_ROOM = 120;
const FONT = '12px system-ui, sans-serif';

/** The highest of every bucket, then of every two, four … so that an hour is drawn as fast as a second. */
export class Peaks {
  /** @param {Uint8Array} base @param {number} bucketMs */
  constructor(base, bucketMs) {
    this.bucketMs = bucketMs;
    this.levels = [base];
    for (let level = base; level.length > 512; ) {
      const next = new Uint8Array(Math.ceil(level.length / 2));
      for (let i = 0; i < next.length; i += 1) next[i] = Math.max(level[2 * i], level[2 * i + 1] ?? 0);
      this.levels.push(next);
      level = next;
    }
  }

  /** 0 to 1, the largest between two times. @param {number} fromMs @param {number} toMs */
  most(fromMs, toMs) {
    const fit = Math.floor(Math.log2(Math.max(1, (toMs - fromMs) / this.bucketMs)));
    const level = Math.max(0, Math.min(this.levels.length - 1, fit));
    const peaks = this.levels[level];
    const size = this.bucketMs * 2 ** level;
    const last = Math.max(Math.floor(fromMs / size) + 1, Math.ceil(toMs / size));
    let most = 0;
    for (let i = Math.max(0, Math.floor(fromMs / size)); i < Math.min(peaks.length, last); i += 1)
      most = Math.max(most, peaks[i]);
    return most / 255;
  }
}

/** @param {Sheet} sheet @param {Peaks} peaks @param {string} colour */
function drawWave({ context, width, height, view }, peaks, colour) {
  const perPixel = view.widthMs / width;
  const middle = height / 2;
  context.fillStyle = colour;
  for (let x = 0; x < width; x += 1) {
    const fromMs = view.fromMs + x * perPixel;
    const half = peaks.most(fromMs, fromMs + perPixel) * (middle - 2);
    if (half >= 0.5) context.fillRect(x, middle - half, 1, 2 * half);
  }
}

/** @param {Sheet} sheet */
function drawMiddle({ context, width, height, colours }) {
  context.fillStyle = colours.line;
  context.fillRect(0, Math.floor(height / 2), width, 1);
}

/** A piece of text in a box, cut where the box ends. @param {Sheet} sheet @param {string} text @param {number} from @param {number} to @param {number} y */
function drawText({ context, colours }, text, from, to, y) {
  const left = Math.max(0, from) + 4;
  if (to - left < 12) return;
  context.save();
  context.beginPath();
  context.rect(left, 0, to - left - 2, 400);
  context.clip();
  context.fillStyle = colours.ink;
  context.font = FONT;
  context.textBaseline = 'middle';
  context.fillText(text.slice(0, 400), left, y);
  context.restore();
}

/** @param {Sheet} sheet @param {number} fromMs @param {number} toMs @param {number} y @param {number} height @param {string} colour @param {string} text */
function drawBox(sheet, fromMs, toMs, y, height, colour, text) {
  const { context, width, x } = sheet;
  const from = x(fromMs);
  const to = Math.max(from + 2, x(toMs));
  if (to < 0 || from > width) return;
  context.fillStyle = colour;
  context.fillRect(Math.max(-2, from), y, Math.min(width + 2, to) - Math.max(-2, from), height);
  drawText(sheet, text, from, Math.min(width, to), y + height / 2);
}

/** @param {Sheet} sheet @param {number} atMs @param {string} colour @param {string} text */
function drawPin(sheet, atMs, colour, text) {
  const { context, width, height, x } = sheet;
  const at = x(atMs);
  if (at < -60 || at > width) return;
  context.fillStyle = colour;
  context.fillRect(at - 1, 0, 2, height);
  if (text === '') return;
  context.font = FONT;
  const to = Math.min(width, at + 12 + context.measureText(text).width);
  context.fillStyle = sheet.colours.paper;
  context.fillRect(at + 1, height / 2 - 8, to - at - 1, 16);
  drawText(sheet, text, at, to, height / 2);
}

/** Round times, so that they are not written into each other. @param {Sheet} sheet */
function drawRuler(sheet) {
  const { context, width, height, view, colours, x } = sheet;
  const steps = [
    10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
  ];
  const wanted = (view.widthMs / width) * 90;
  const step = steps.find((one) => one >= wanted) ?? 1_200_000;
  context.font = FONT;
  context.textBaseline = 'middle';
  for (let ms = Math.ceil(view.fromMs / step) * step; ms <= view.toMs; ms += step) {
    context.fillStyle = colours.faint;
    context.fillRect(x(ms), height - 6, 1, 6);
    context.fillText(clock(ms, step < 100 ? 2 : step < 1000 ? 1 : 0), x(ms) + 4, height / 2);
  }
}

/**
 * Between two times, of a list in order of its time.
 * @template T
 * @param {readonly T[]} list @param {View} view @param {(one: T) => number} timeOf @param {(one: T) => void} use
 */
function eachSeen(list, view, timeOf, use) {
  const margin = view.widthMs * 0.1;
  for (let i = firstFrom(list, view.fromMs - margin, timeOf); i < list.length; i += 1) {
    if (timeOf(list[i]) > view.toMs) return;
    use(list[i]);
  }
}

/**
 * The one nearest to a time, if it is near enough.
 * @template T
 * @param {readonly T[]} list @param {number} ms @param {number} nearMs @param {(one: T) => number} timeOf
 */
function nearest(list, ms, nearMs, timeOf) {
  const after = firstFrom(list, ms, timeOf);
  const found = [list[after - 1], list[after]].filter((one) => one !== undefined);
  found.sort((a, b) => Math.abs(timeOf(a) - ms) - Math.abs(timeOf(b) - ms));
  return found[0] !== undefined && Math.abs(timeOf(found[0]) - ms) <= nearMs ? found[0] : undefined;
}

/** @param {Data} data @param {{ said: Peaks, heard: Peaks, unheard: Peaks }} peaks @returns {Lane[]} */
export function lanesOf(data, peaks) {
  const { story } = data;
  return [
    {
      id: 'ruler',
      title: 'time',
      says: 'time since the webhook',
      height: 22,
      draw: drawRuler,
      tell: (ms) => clock(ms),
    },
    {
      id: 'said',
      title: 'caller said',
      says: 'loudness of what the caller said',
      height: 76,
      draw: (sheet) => {
        drawMiddle(sheet);
        drawWave(sheet, peaks.said, sheet.colours.caller);
      },
      tell: () => undefined,
    },
    {
      id: 'heard',
      title: 'caller heard',
      says: 'loudness of what the caller heard; pale: sent and never heard',
      height: 76,
      draw: (sheet) => {
        drawMiddle(sheet);
        drawWave(sheet, peaks.unheard, sheet.colours.lost);
        drawWave(sheet, peaks.heard, sheet.colours.agent);
        for (const { atMs, ms } of story.holes) drawBox(sheet, atMs, atMs + ms, 0, 4, sheet.colours.slow, '');
      },
      tell: (ms) => {
        const hole = story.holes.find(({ atMs, ms: long }) => ms >= atMs && ms <= atMs + long);
        return hole === undefined ? undefined : `ran dry for ${span(hole.ms)}`;
      },
    },
    {
      id: 'turns',
      title: 'turns',
      says: 'who spoke when',
      height: 48,
      draw: (sheet) => drawTurns(sheet, story),
      tell: (ms) => tellTurn(story, ms),
    },
    {
      id: 'marks',
      title: 'marks, clears',
      says: 'marks sent to the carrier and when they came back; clears of its buffer',
      height: 30,
      draw: (sheet) => drawMarks(sheet, story),
      tell: (ms, nearMs) => tellMark(story, ms, nearMs),
    },
    {
      id: 'functions',
      title: 'functions, keys',
      says: 'functions that the model called, keys that the caller pressed',
      height: 24,
      draw: (sheet) => drawFunctions(sheet, story),
      tell: (ms, nearMs) => tellFunction(story, ms, nearMs),
    },
    {
      id: 'providers',
      title: 'provider',
      says: 'which provider held the call; failures',
      height: 24,
      draw: (sheet) => drawProviders(sheet, story),
      tell: (ms, nearMs) => {
        const failure = nearest(story.failures, ms, nearMs, ({ atMs }) => atMs);
        if (failure !== undefined) return `${failure.provider} failed ${failure.phase}: ${failure.code}`;
        const held = story.spans.find(({ fromMs, toMs }) => ms >= fromMs && ms <= toMs);
        return held === undefined
          ? undefined
          : `${held.provider} ${held.model ?? ''} (${held.why}), connected in ${span(held.connectMs)}`;
      },
    },
    {
      id: 'lead',
      title: "carrier's buffer",
      says: 'speech that the carrier held and had not played',
      height: 44,
      draw: (sheet) => drawLead(sheet, story),
      tell: (ms) => `${span(leadAt(story, ms))} ahead`,
    },
  ];
}

/** @typedef {import('./data.js').Story} Story */

/** @param {Sheet} sheet @param {Story} story */
function drawTurns(sheet, { turns, answers }) {
  const { context, colours, height, x } = sheet;
  const half = height / 2;
  for (const turn of turns) {
    const isCaller = turn.role === 'user';
    const colour = isCaller ? colours.callerPale : colours.agentPale;
    drawBox(sheet, turn.startMs, turn.endMs, isCaller ? 1 : half + 1, half - 2, colour, textOf(turn));
    if (!turn.interrupted) continue;
    context.fillStyle = colours.bad;
    context.fillRect(x(turn.endMs) - 1, half + 1, 3, half - 2);
  }
  for (const { stoppedMs, heardMs } of answers)
    if (stoppedMs !== undefined) drawWait(sheet, stoppedMs, heardMs);
}

/** From the caller's last word to the agent's first. @param {Sheet} sheet @param {number} fromMs @param {number} toMs */
function drawWait({ context, colours, height, width, x }, fromMs, toMs) {
  if (x(toMs) < 0 || x(fromMs) > width) return;
  const ms = toMs - fromMs;
  context.strokeStyle = ms > 2000 ? colours.bad : ms > 1200 ? colours.slow : colours.faint;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x(fromMs), height / 2 - 2);
  context.lineTo(x(toMs), height / 2 + 2);
  context.stroke();
}

/** @param {Story} story @param {number} ms */
function tellTurn({ turns, answers }, ms) {
  const turn = turns.findLast(({ startMs, endMs }) => ms >= startMs && ms <= endMs);
  if (turn !== undefined)
    return `${turn.role === 'user' ? 'caller' : 'agent'}: ${textOf(turn).slice(0, 160)}`;
  const wait = answers.find(
    ({ stoppedMs, heardMs }) => stoppedMs !== undefined && ms >= stoppedMs && ms <= heardMs,
  );
  return wait?.stoppedMs === undefined
    ? undefined
    : `the caller waits ${span(wait.heardMs - wait.stoppedMs)}`;
}

/** @param {Sheet} sheet @param {Story} story */
function drawMarks(sheet, { marks, clears, truncations }) {
  const { context, colours, view, x, height } = sheet;
  eachSeen(
    marks,
    view,
    ([, sentMs]) => sentMs,
    ([, sentMs, backMs, fate]) => {
      const colour = fate === 'lost' ? colours.bad : fate === 'cleared' ? colours.lost : colours.faint;
      context.fillStyle = colour;
      context.fillRect(x(sentMs), 4, 1, 8);
      if (backMs === null) return;
      context.fillRect(x(backMs), height - 12, 1, 8);
      context.globalAlpha = 0.35;
      context.fillRect(x(sentMs), 12, Math.max(1, x(backMs) - x(sentMs)), 1);
      context.globalAlpha = 1;
    },
  );
  for (const { atMs, lostMs } of clears) {
    // Many a clear only makes sure.
    if (lostMs < 60) drawPin(sheet, atMs, colours.faint, '');
    else drawPin(sheet, atMs, colours.bad, `clear −${span(lostMs)}`);
  }
  for (const { atMs } of truncations) {
    context.fillStyle = colours.slow;
    context.fillRect(x(atMs) - 3, height - 6, 6, 6);
  }
}

/** @param {Story} story @param {number} ms @param {number} nearMs */
function tellMark({ marks, clears, truncations }, ms, nearMs) {
  const clear = nearest(clears, ms, nearMs, ({ atMs }) => atMs);
  const told = truncations.find(({ atMs }) => Math.abs(atMs - ms) <= nearMs);
  if (clear !== undefined) {
    const more = told === undefined ? '' : `; the model was told that ${span(told.heardMs)} were heard`;
    return `clear: ${span(clear.lostMs)} of speech dropped${more}`;
  }
  if (told !== undefined) return `the model was told that ${span(told.heardMs)} were heard`;
  const mark = nearest(marks, ms, nearMs, ([, sentMs]) => sentMs);
  if (mark === undefined) return undefined;
  const [name, sentMs, backMs, fate] = mark;
  return `mark ${name}, ${fate}${backMs === null ? '' : ` after ${span(backMs - sentMs)}`}`;
}

/** @param {Sheet} sheet @param {Story} story */
function drawFunctions(sheet, { functions, keys }) {
  const { colours, height, view } = sheet;
  for (const { name, startMs, endMs, isError } of functions) {
    const colour = isError || endMs === undefined ? colours.badPale : colours.functionPale;
    drawBox(sheet, startMs, endMs ?? view.lengthMs, 2, height - 4, colour, name);
  }
  eachSeen(
    keys,
    view,
    ({ atMs }) => atMs,
    ({ atMs, key }) => drawPin(sheet, atMs, colours.caller, key),
  );
}

/** @param {Story} story @param {number} ms @param {number} nearMs */
function tellFunction({ functions, keys }, ms, nearMs) {
  const key = nearest(keys, ms, nearMs, ({ atMs }) => atMs);
  if (key !== undefined) return `key ${key.key}`;
  const ran = functions.find(
    ({ startMs, endMs = Number.POSITIVE_INFINITY }) => ms >= startMs - nearMs && ms <= endMs + nearMs,
  );
  if (ran === undefined) return undefined;
  const took =
    ran.endMs === undefined
      ? 'never answered'
      : `${ran.outcome ?? 'answered'} in ${span(ran.endMs - ran.startMs)}`;
  return `${ran.name}: ${took}`;
}

/** @param {Sheet} sheet @param {Story} story */
function drawProviders(sheet, { spans, failures }) {
  const { colours, height, x } = sheet;
  spans.forEach(({ provider, model, fromMs, toMs }, index) => {
    const colour = index % 2 === 0 ? colours.providerPale : colours.otherPale;
    drawBox(sheet, fromMs, toMs, 2, height - 4, colour, `${provider} ${model ?? ''}`);
  });
  for (const { atMs, provider } of failures) {
    // Whoever takes over has a name of its own to show there.
    const isTakenOver = spans.some(({ fromMs }) => fromMs >= atMs && x(fromMs) - x(atMs) < PIN_ROOM);
    drawPin(sheet, atMs, colours.bad, isTakenOver ? '' : `${provider} failed`);
  }
}

/** @param {Sheet} sheet @param {Story} story */
function drawLead(sheet, { lead }) {
  const { context, width, height, view, colours } = sheet;
  const most = Math.max(1000, ...lead.flatMap((stream) => stream.map(([, ms]) => ms)).slice(0, 20_000));
  context.fillStyle = colours.agentPale;
  const perPixel = view.widthMs / width;
  for (let x = 0; x < width; x += 1) {
    const ms = leadAt({ lead }, view.fromMs + x * perPixel);
    const tall = (ms / most) * (height - 2);
    if (tall >= 0.5) context.fillRect(x, height - tall, 1, tall);
  }
  context.fillStyle = colours.faint;
  context.font = '10px system-ui, sans-serif';
  context.textBaseline = 'top';
  context.fillText(span(most), 4, 2);
}

/** It falls by a second a second until something is sent. @param {{ lead: [number, number][][] }} story @param {number} ms */
function leadAt({ lead }, ms) {
  let most = 0;
  for (const stream of lead) {
    const point = stream[firstFrom(stream, ms + 1e-6, ([atMs]) => atMs) - 1];
    if (point !== undefined) most = Math.max(most, point[1] - (ms - point[0]));
  }
  return most;
}
