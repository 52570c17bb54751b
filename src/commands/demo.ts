import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeG711 } from '../audio/g711.ts';
import type { CallEvent } from '../call-events.ts';
import { loadConfig } from '../config.ts';
import { packageFile } from '../package-file.ts';
import { createBridge } from '../server.ts';
import { type CallReport, type SimulatedCall, startExchange } from '../sim/phone.ts';
import type { TranscriptEntry } from '../transcript.ts';
import { type Command, readArguments, type Terminal } from './command.ts';
import { LiveView } from './live-view.ts';
import { converse, keepCall, type Step, summary } from './phone-call.ts';

export const demo: Command = {
  name: 'demo',
  help: `patchcord demo [--out FOLDER] [--check]

Starts the service on this machine with signatures on, has a simulated carrier call it, and speaks a recorded sentence.
Needs no key, no phone and no network. Leaves caller.wav, agent.wav, call.wav (caller left, agent right) and
transcript.txt in a folder: calls/demo, or --out.

  --check   afterwards says what went right and wrong, and fails if anything went wrong
`,
  async run(argv, terminal) {
    const { values } = readArguments(argv, {
      out: { type: 'string' },
      check: { type: 'boolean', default: false },
    });
    // Not the environment's settings: the demo is the same everywhere.
    const config = loadConfig({ PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'error', PROVIDER: 'local' });
    const view = new LiveView(terminal);
    const events: CallEvent[] = [];
    await using bridge = await createBridge({
      config,
      observe: (_callId, event) => {
        events.push(event);
        view.bridge(event);
      },
    });
    await using exchange = await startExchange();
    const url = await bridge.listen();
    view.line('phone', `calling ${url}/voice/twilio`);
    const call = exchange.placeCall({
      webhookUrl: `${url}/voice/twilio`,
      statusCallbackUrl: `${url}/status/twilio`,
      authToken: bridge.localAuthToken,
    });
    const stop = new AbortController();
    const release = terminal.onInterrupt(() => stop.abort());
    const report = await converse(call, await script(), view, stop.signal);
    release();
    const transcript = events.find((event) => event.type === 'ended')?.transcript ?? [];
    const folder = values.out ?? join('calls', 'demo');
    const files = await keepCall(folder, call, report, transcript);
    terminal.out(`\n${summary(report)}\nlisten to ${join(folder, 'call.wav')} (caller left, agent right)\n`);
    terminal.out(`kept in ${folder}: ${files.join(', ')}\n`);
    return values.check ? check(terminal, call, report, transcript, events) : 0;
  },
};

async function script(): Promise<Step[]> {
  const wav = await readFile(packageFile('fixtures/speech/librivox-0880.wav'));
  return [
    { do: 'speak', what: '“he was not an ill-disposed young man”', wav, cutInAfterMs: 9500 },
    { do: 'press', keys: '3' },
    { do: 'press', keys: '*' },
  ];
}

function check(
  terminal: Terminal,
  call: SimulatedCall,
  report: CallReport,
  transcript: readonly TranscriptEntry[],
  events: readonly CallEvent[],
): number {
  const echo = echoStrength(call.sent, call.heard);
  // 31921 says that the service closed the stream, which is how it hangs up.
  const complaints = [...report.warnings.keys()].filter((warning) => !warning.startsWith('31921'));
  const said = transcript.map((turn) => turn.text).join(' ');
  const checks: readonly (readonly [string, boolean])[] = [
    [
      'the call was answered and came to its end',
      report.outcome === 'completed' && report.failure === undefined,
    ],
    ['the agent hung up, after its goodbye', report.endedBy === 'document' && /goodbye/i.test(said)],
    ['the agent said that it is a line check', /line check/i.test(said)],
    [`the caller's own voice came back (correlation ${echo.toFixed(2)})`, echo > 0.95],
    [
      'a function was run',
      events.some((event) => event.type === 'tool' && event.name === 'current_time' && !event.isError),
    ],
    ['the agent stopped when the caller cut in', events.some((event) => event.type === 'bargeIn')],
    ['the agent measured what it heard', /your speech lasted/i.test(said)],
    [`no holes in the agent's speech (${report.underruns})`, report.underruns === 0],
    [
      `the carrier had nothing to complain of${complaints.map((one) => ` (${one})`).join('')}`,
      complaints.length === 0,
    ],
  ];
  for (const [what, good] of checks) terminal.out(`${good ? 'ok    ' : 'FAILED'} ${what}\n`);
  const failed = checks.filter(([, good]) => !good).length;
  terminal.out(`${checks.length - failed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

/** Highest normalised correlation of one second of the caller's speech with what was heard later; 1: the same. */
function echoStrength(sent: Uint8Array, heard: Uint8Array): number {
  const caller = decodeG711('mulaw', sent);
  const agent = decodeG711('mulaw', heard);
  const start = loudestSecond(caller);
  const piece = caller.subarray(start, start + 8000);
  const energy = piece.reduce((sum, sample) => sum + sample * sample, 0);
  const likeness = (at: number): number => {
    let dot = 0;
    let other = 0;
    for (let i = 0; i < piece.length; i++) {
      const sample = agent[at + i] ?? 0;
      dot += sample * (piece[i] ?? 0);
      other += sample * sample;
    }
    return energy > 0 && other > 0 ? dot / Math.sqrt(energy * other) : 0;
  };
  // First by the millisecond, then by the sample around the best one.
  let best = start;
  let likest = 0;
  for (let at = start; at + 8000 <= agent.length; at += 8) {
    const found = likeness(at);
    if (found <= likest) continue;
    likest = found;
    best = at;
  }
  let most = 0;
  for (let at = Math.max(0, best - 8); at <= best + 8; at++) most = Math.max(most, likeness(at));
  return most;
}

function loudestSecond(samples: Int16Array): number {
  let best = 0;
  let most = -1;
  for (let at = 0; at + 8000 <= samples.length; at += 800) {
    let sum = 0;
    for (let i = at; i < at + 8000; i += 1) sum += Math.abs(samples[i] ?? 0);
    if (sum > most) {
      most = sum;
      best = at;
    }
  }
  return best;
}
