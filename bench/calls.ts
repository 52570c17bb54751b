import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { type Exchange, type SimulatedCall, startExchange } from '../src/sim/phone.ts';
import type { BridgeFigures } from './bridge-process.ts';

/**
 * N simulated calls at once: the bridge in a process of its own on one core, phones and provider in this one on another.
 * Says what was lost, what was late, what a call cost, and whether the process came back to where it was.
 */
const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '30' },
    passthrough: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const calls = Number(values.calls);
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const RAMP_MS = Math.max(2000, calls * 20);
/** The bridge remembers an ended call for a minute; after that nothing of it may be left. */
const FORGOTTEN_MS = 62_000;

interface Outcome {
  readonly sentMs: number;
  readonly underruns: number;
  readonly lateTicks: number;
  readonly outcome: string;
}

async function ask(bridge: ChildProcess): Promise<BridgeFigures> {
  bridge.send('figures');
  const [answer] = (await once(bridge, 'message')) as [BridgeFigures];
  return answer;
}

function startBridge(providerUrl: string): ChildProcess {
  const script = fileURLToPath(new URL('./bridge-process.js', import.meta.url));
  const env = {
    ...process.env,
    OPENAI_BASE_URL: providerUrl,
    AUDIO_PATH: values.passthrough ? 'passthrough' : 'wideband',
    MAX_CALLS: String(calls + 10),
    SILENCE_SECONDS: '0',
  };
  const node = ['--expose-gc', '--enable-source-maps', script];
  const pinned = spawnSync('taskset', ['--version']).status === 0;
  const [command, args] = pinned
    ? ['taskset', ['-c', '0', process.execPath, ...node]]
    : [process.execPath, node];
  if (pinned) spawnSync('taskset', ['-apc', '1', String(process.pid)]);
  return spawn(command as string, args as string[], { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** One call: both sides talk in turns for the given time, then the caller hangs up. */
async function talk(call: SimulatedCall): Promise<Outcome> {
  await call.streaming;
  const end = performance.now() + seconds * 1000;
  const speech = new Int16Array(8000).map((_, i) =>
    Math.round(7000 * Math.sin(i * 0.35) * Math.sin(i / 900)),
  );
  while (performance.now() < end) {
    await call.untilQuiet(400);
    await call.speak(speech);
  }
  const report = await call.hangUp();
  return {
    sentMs: call.sent.length / 8,
    underruns: report.underruns,
    lateTicks: report.lateTicks,
    outcome: report.outcome,
  };
}

async function run(exchange: Exchange): Promise<void> {
  await using openai = await startOpenAiSimulator({
    speedFactor: 4,
    firstAudioMs: 200,
    respond: () => ({ audioMs: 3000 }),
  });
  const bridge = startBridge(openai.url);
  const [{ url, authToken }] = (await once(bridge, 'message')) as [{ url: string; authToken: string }];
  const warm = exchange.placeCall({ webhookUrl: `${url}/voice/twilio`, authToken, keepAudio: false });
  await warm.untilHeard(500);
  await warm.hangUp();
  await later(FORGOTTEN_MS);
  const before = await ask(bridge);
  const figures: unknown[] = [];
  for (let round = 1; round <= rounds; round++) {
    const seen = openai.connections.length;
    const { done, busy } = await callAll(exchange, bridge, `${url}/voice/twilio`, authToken);
    await later(FORGOTTEN_MS);
    const after = await ask(bridge);
    const delivered = openai.connections.slice(seen).reduce((total, one) => total + one.receivedAudioMs, 0);
    figures.push({ round, ...lossFigures(done, delivered), ...busy, ...leftFigures(before, after) });
  }
  bridge.send('stop');
  await once(bridge, 'exit');
  process.stdout.write(`${JSON.stringify(figures, null, values.json ? 0 : 2)}\n`);
}

/** All calls of one round, and what they cost while all of them were up. */
async function callAll(exchange: Exchange, bridge: ChildProcess, webhookUrl: string, authToken: string) {
  const outcomes: Promise<Outcome>[] = [];
  for (let i = 0; i < calls; i++) {
    outcomes.push(talk(exchange.placeCall({ webhookUrl, authToken })));
    await later(RAMP_MS / calls);
  }
  await later(2000);
  const from = await ask(bridge);
  const fromAt = performance.now();
  await later(Math.max(1000, seconds * 1000 - RAMP_MS - 4000));
  const to = await ask(bridge);
  const windowS = (performance.now() - fromAt) / 1000;
  const cpuMs = to.cpuMs - from.cpuMs;
  const busy = {
    calls: to.calls,
    cpuMsPerCallSecond: Number((cpuMs / windowS / to.calls).toFixed(2)),
    coreShare: Number((cpuMs / windowS / 1000).toFixed(2)),
    loopDelayP99Ms: Number(to.loopDelayP99Ms.toFixed(1)),
    loopDelayMaxMs: Number(to.loopDelayMaxMs.toFixed(1)),
    busyHeapMiB: mib(to.heapUsed),
    busyRssMiB: mib(to.rss),
  };
  return { done: await Promise.all(outcomes), busy };
}

function lossFigures(done: readonly Outcome[], deliveredMs: number) {
  const sum = (pick: (one: Outcome) => number): number => done.reduce((total, one) => total + pick(one), 0);
  return {
    secondsEach: seconds,
    audio: values.passthrough ? 'passthrough' : 'wideband',
    completed: done.filter((one) => one.outcome === 'completed').length,
    // The last frame of each call may be under way when the caller hangs up.
    callerSpeechMissingMs: sum((one) => one.sentMs) - deliveredMs,
    holesHeard: sum((one) => one.underruns),
    // Above 0 the machine was too small for this bench, and its latencies are in doubt.
    phoneTicksLate: sum((one) => one.lateTicks),
  };
}

function leftFigures(before: BridgeFigures, after: BridgeFigures) {
  return {
    heapMiB: { before: mib(before.heapUsed), after: mib(after.heapUsed) },
    rssMiB: { before: mib(before.rss), after: mib(after.rss) },
    resources: { before: before.resources, after: after.resources },
  };
}

function mib(bytes: number): number {
  return Number((bytes / 2 ** 20).toFixed(1));
}

await using exchange = await startExchange();
await run(exchange);
