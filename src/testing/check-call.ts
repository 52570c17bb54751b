import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Agent } from '../agents.ts';
import { encodeWav } from '../audio/wav.ts';
import { BridgeError } from '../errors.ts';
import { recordAgent } from '../recording/agent-record.ts';
import type { Tolerance } from '../recording/format.ts';
import { readCall, type StoredCall, type StoredWav, writeCall } from '../recording/stored-call.ts';
import { transcriptOf } from '../recording/transcript-file.ts';
import { replaceFile } from '../recording/write.ts';
import type { Difference } from '../replay/compare/difference.ts';
import type { ReplayOutcome } from '../replay/compare/report.ts';
import { tellDifference } from '../replay/compare.ts';
import { type Replayed, type ReplayOptions, replay } from '../replay/replay.ts';
import { type AgentChoice, agentFor } from './changed-agent.ts';

export interface CheckOptions {
  /** In the place of what the call says of itself, and of the defaults. */
  readonly tolerance?: Partial<Tolerance> | undefined;
  /** A replay that differs is accepted: it is written into the folder, in the place of what was there. */
  readonly update?: boolean | undefined;
  /** In the place of the agent of the call: what it does otherwise is a difference. */
  readonly agent?: AgentChoice | undefined;
  /** What `replay` takes. */
  readonly replay?: Pick<ReplayOptions, 'signal' | 'onLine' | 'pace' | 'providers'> | undefined;
}

/** What came of the replay of one folder, with both calls as far as they are there. */
export interface CheckedCall extends ReplayOutcome {
  readonly expected: StoredCall | undefined;
  readonly replayed: Replayed | undefined;
}

const MOST_TRIES = 3;

/** Replays the call in a folder. Never rejects: what cannot be used is `broken`. */
export async function checkCall(folder: string, options: CheckOptions = {}): Promise<CheckedCall> {
  let expected: StoredCall | undefined;
  try {
    expected = await readCall(folder);
    return await checked(folder, expected, options);
  } catch (thrown) {
    return {
      folder,
      status: 'broken',
      accepted: false,
      proves: expected?.call.proves ?? '',
      differences: [],
      error: BridgeError.from(thrown),
      callMs: 0,
      realMs: 0,
      expected,
      replayed: undefined,
    };
  }
}

async function checked(folder: string, stored: StoredCall, options: CheckOptions): Promise<CheckedCall> {
  const { tolerance, update = false, agent: choice } = options;
  const expected = tolerance === undefined ? stored : tolerant(stored, tolerance);
  const agent = choice === undefined ? undefined : await agentFor(stored, choice);
  const replayed = await replay(expected, { ...options.replay, agent });
  const { differences, realMs, callMs } = replayed;
  const isSame = differences.length === 0;
  if (update && !isSame) {
    const { call, stereo } = await settled(accepted(stored, replayed.found, agent), options.replay);
    await writeCall(folder, call);
    await writeBeside(folder, call, stereo);
  }
  return {
    folder,
    status: isSame ? 'same' : 'different',
    accepted: update && !isSame,
    proves: stored.call.proves,
    differences,
    error: undefined,
    callMs,
    realMs,
    expected: stored,
    replayed,
  };
}

function tolerant(stored: StoredCall, tolerance: Partial<Tolerance>): StoredCall {
  return { ...stored, call: { ...stored.call, tolerance: { ...stored.call.tolerance, ...tolerance } } };
}

/** What the call proves and came from stays as it is; what happened in it is what was found, with the agent of now. */
function accepted(stored: StoredCall, found: StoredCall, agent: Agent | undefined): StoredCall {
  const { call, folder } = stored;
  const now = agent === undefined ? call.agent : recordAgent(agent, call.agent.machine);
  return { ...found, call: { ...call, agent: now }, folder };
}

/** What differs in its own replay is taken as it is found there: timers of a recording from life ran late, and now do not. */
async function settled(
  call: StoredCall,
  options: CheckOptions['replay'],
): Promise<{ readonly call: StoredCall; readonly stereo: StoredWav | undefined }> {
  let last = call;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const { found, differences, stereo } = await replay(last, {
      providers: options?.providers,
      signal: options?.signal,
      listen: true,
    });
    if (differences.length === 0) return { call: last, stereo };
    last = { ...found, call: call.call, folder: call.folder };
  }
  throw new BridgeError('CONFLICT', 'what was found cannot be accepted: it goes another way in every replay');
}

/** What is listened to and read is that of the call which was accepted, where the folder has it. */
async function writeBeside(folder: string, call: StoredCall, stereo: StoredWav | undefined): Promise<void> {
  const files = new Set(await readdir(folder));
  const put = async (name: string, data: string | Uint8Array): Promise<void> => {
    const { mode } = await stat(join(folder, name));
    await replaceFile(folder, name, data, mode & 0o777);
  };
  if (files.has('transcript.txt')) await put('transcript.txt', transcriptOf(call));
  if (files.has('call.wav') && stereo !== undefined)
    await put('call.wav', encodeWav({ ...stereo.format, channels: 2 }, stereo.bytes));
}

/** The first difference and how many there are more, for people; why it is broken; empty: nothing is wrong. */
export function tellChecked({ folder, proves, differences, error, expected, replayed }: CheckedCall): string {
  if (error !== undefined) return `${basename(folder)} cannot be replayed: ${error.message}`;
  const [first, ...more] = differences;
  if (first === undefined || expected === undefined || replayed === undefined) return '';
  const lines = [tellDifference(first, expected, replayed.found)];
  if (more.length > 0) lines.push(`and ${more.length} more: ${counts(more)}`);
  if (proves !== '') lines.push(`The call proves: ${proves}`);
  return lines.join('\n');
}

/** `12 to the carrier, 3 functions`. */
function counts(differences: readonly Difference[]): string {
  const byEdge = new Map<string, number>();
  for (const { edge } of differences) byEdge.set(edge, (byEdge.get(edge) ?? 0) + 1);
  return [...byEdge].map(([edge, count]) => `${count} ${EDGE_WORDS[edge] ?? edge}`).join(', ');
}

const EDGE_WORDS: Readonly<Record<string, string>> = {
  webhook: 'in answers to webhooks',
  carrier: 'to the carrier',
  provider: 'to providers',
  tool: 'of functions',
  rest: 'in requests to the carrier',
  call: 'told to observers',
};
