import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import sqlite from 'node-sqlite3-wasm';
import { createBridge, loadConfig } from 'patchcord';
import { later, refusal, spoken, wallClock } from './calendar.js';
import { restaurant } from './restaurant.js';

/**
 * @typedef {import('patchcord').CallEvent} CallEvent
 * @typedef {import('../../src/sim/openai.ts').ResponsePlan} ResponsePlan
 * @typedef {import('../../src/sim/openai.ts').Turn} Turn
 * @typedef {import('../../src/sim/phone.ts').SimulatedCall} SimulatedCall
 *
 * @typedef {object} Stage what the package has for trying things: a telephone, a model, and a voice
 * @property {typeof import('../../src/sim/phone.ts').startExchange} startExchange
 * @property {typeof import('../../src/sim/openai.ts').startOpenAiSimulator} startOpenAiSimulator
 * @property {typeof import('../../src/providers/local/engine.ts').createSpeechEngine} createSpeechEngine
 * @property {typeof import('../../src/audio/offline.ts').resampleWhole} resampleWhole
 *
 * @typedef {{ readonly transcript: string, readonly audio: Int16Array }} Spoken
 * @typedef {{ readonly start: string, readonly party: number, readonly name: string }} Wish
 */

const AGENT_VOICE = 'slt';
const CALLER_VOICE = 'rms';
const FLITE_RATE = 16_000;
const MODEL_RATE = 24_000;
/** The caller takes the agent to have finished after such a pause, in ms. */
const TURN_MS = 700;

/**
 * A guest calls, books a table and says goodbye. Only the model and the caller are played, from a script: the telephone
 * line, the bridge, the agents file, the functions and the database are real. Leaves call.wav and bookings.db in `folder`.
 *
 * @param {Stage} stage
 * @param {{ readonly folder: string, readonly agentsFile: string, readonly out: (line: string) => void, readonly slowMs?: number }} options
 *   `slowMs`: so long somebody else has the file when the booking is made
 * @returns {Promise<readonly Record<string, unknown>[]>} the bookings that are in the file afterwards
 */
export async function rehearse(stage, { folder, agentsFile, out, slowMs = 0 }) {
  const file = join(folder, 'bookings.db');
  await mkdir(folder, { recursive: true });
  await rm(file, { force: true });
  // Where handlers/booking.js looks when it is loaded.
  process.env['BOOKINGS_FILE'] = file;

  const wish = { start: nextFriday(Date.now()), party: 4, name: 'Miller' };
  const script = await voiced(stage, scriptFor(wish));
  const openai = await stage.startOpenAiSimulator({
    respond: model(script, wish, () => occupy(file, slowMs)),
    hear: ({ index }) => ({ transcript: script.caller[index]?.transcript ?? '' }),
  });
  const bridge = await createBridge({
    config: loadConfig({
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_LEVEL: 'error',
      AGENTS_FILE: agentsFile,
      OPENAI_BASE_URL: openai.url,
    }),
    observe: (_callId, event) => show(event, out),
  });
  const exchange = await stage.startExchange();
  // Node 20 has no `await using` yet.
  try {
    const url = await bridge.listen();
    out(`a simulated phone calls ${url}/voice/twilio`);
    const call = exchange.placeCall({
      webhookUrl: `${url}/voice/twilio`,
      statusCallbackUrl: `${url}/status/twilio`,
      authToken: bridge.localAuthToken,
      from: '+15550100123',
    });
    await talk(call, script.caller);
    await call.ended;
    await call.saveRecordings(folder);
  } finally {
    await bridge.close();
    await exchange[Symbol.asyncDispose]();
    await openai.close();
  }
  return rowsOf(file);
}

/**
 * @param {SimulatedCall} call
 * @param {readonly Spoken[]} lines
 */
async function talk(call, lines) {
  for (const { audio } of lines) {
    if (!(await call.untilQuiet(TURN_MS))) return;
    await call.speak({ samples: audio, rate: MODEL_RATE });
  }
}

/**
 * The first Friday on which there is half past seven.
 * @param {number} epochMs
 */
function nextFriday(epochMs) {
  const now = wallClock(epochMs, restaurant.timeZone);
  for (let days = 1; days <= restaurant.daysAhead; days++) {
    const start = `${later(now, days * 24 * 60).slice(0, 10)}T19:30`;
    if (spoken(start).startsWith('Friday') && refusal(start, 1, now, restaurant) === undefined) return start;
  }
  throw new Error('the restaurant has no Friday to book');
}

/** @param {Wish} wish */
function scriptFor({ start, party, name }) {
  const when = spoken(start);
  return {
    caller: [
      'Good evening. I would like a table for four, next Friday, at half past seven.',
      `My name is ${name}.`,
      'Yes, that is right. Thank you.',
    ],
    agent: {
      greeting: 'Hello, this is the Trattoria. When would you like to come?',
      free: `Yes, we have a table on ${when}. In what name, please?`,
      readBack: `So that is ${when}, for ${party}, in the name of ${name}. Is that right?`,
      booked: 'Your table is booked. We look forward to seeing you. Goodbye!',
      sorry: 'I am sorry, that did not work. Goodbye.',
      wait: 'One moment, please.',
    },
  };
}

/**
 * @template {string} K
 * @param {Stage} stage
 * @param {{ readonly caller: readonly string[], readonly agent: Readonly<Record<K, string>> }} script
 */
async function voiced(stage, { caller, agent }) {
  const engine = stage.createSpeechEngine();
  /**
   * @param {string} text
   * @param {string} voice
   * @returns {Promise<Spoken>}
   */
  const speak = async (text, voice) => ({
    transcript: text,
    audio: stage
      .resampleWhole(await engine.render(text, voice), FLITE_RATE, MODEL_RATE)
      .map((sample) => sample / 2),
  });
  /** @type {[K, Spoken][]} */
  const lines = [];
  for (const key of /** @type {K[]} */ (Object.keys(agent)))
    lines.push([key, await speak(agent[key], AGENT_VOICE)]);
  const callerLines = [];
  for (const text of caller) callerLines.push(await speak(text, CALLER_VOICE));
  await engine.close();
  return { caller: callerLines, agent: /** @type {Record<K, Spoken>} */ (Object.fromEntries(lines)) };
}

/**
 * What a model would make of the conversation: it calls the functions, and goes by what they answer.
 *
 * @param {{ readonly agent: Readonly<Record<'greeting' | 'free' | 'readBack' | 'booked' | 'sorry' | 'wait', Spoken>> }} script
 * @param {Wish} wish
 * @param {() => void} onConfirmed the booking is about to be made
 * @returns {(turn: Turn) => ResponsePlan}
 */
function model({ agent }, { start, party, name }, onConfirmed) {
  const slot = { date: start.slice(0, 10), time: start.slice(11), party_size: party };
  const toolCalls = [
    { name: 'find_table', args: slot },
    { name: 'book_table', args: { ...slot, name } },
    { name: 'book_table', args: { ...slot, name, confirmed: true } },
  ];
  /** @param {Spoken} words */
  const leave = (words) => ({ ...words, toolCalls: [{ name: 'end_call', args: {} }] });
  /** @param {Record<string, unknown>} result */
  const tell = ({ status, booked }) => {
    if (status === 'free') return agent.free;
    if (status === 'read-back') return agent.readBack;
    return leave(booked === true ? agent.booked : agent.sorry);
  };
  return (turn) => {
    const order = turn.request['instructions'];
    // What the bridge wants said word for word: the greeting, or that it takes a moment.
    if (typeof order === 'string') {
      return Object.values(agent).find(({ transcript }) => order.includes(transcript)) ?? { audioMs: 1000 };
    }
    const output = turn.newItems.find(({ type }) => type === 'function_call_output')?.['output'];
    if (output !== undefined) return tell(JSON.parse(String(output)));
    const next = toolCalls.shift();
    if (toolCalls.length === 0) onConfirmed();
    return next === undefined ? leave(agent.sorry) : { toolCalls: [next] };
  };
}

/**
 * @param {CallEvent} event
 * @param {(line: string) => void} out
 */
function show(event, out) {
  if (event.type === 'transcript' && event.final) {
    out(`${event.role === 'user' ? 'caller' : 'agent '}  ${event.text}`);
  } else if (event.type === 'tool') {
    out(`        ${event.name} ${JSON.stringify(event.args)}: ${event.outcome}, ${Math.round(event.ms)} ms`);
  }
}

/**
 * @param {string} file
 * @param {number} ms
 */
function occupy(file, ms) {
  if (ms === 0) return;
  const db = new sqlite.Database(file);
  db.exec('PRAGMA busy_timeout = 5000; PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE');
  setTimeout(() => db.close(), ms);
}

/** @param {string} file */
function rowsOf(file) {
  const db = new sqlite.Database(file);
  try {
    db.exec('PRAGMA busy_timeout = 5000; PRAGMA locking_mode = EXCLUSIVE');
    return db.all('SELECT id, starts_at, party_size, name, phone, status FROM bookings');
  } finally {
    db.close();
  }
}
