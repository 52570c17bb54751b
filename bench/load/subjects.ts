import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FLOOR_DELAY } from '../floor/fir.ts';
import { RESAMPLER_DELAY_MS } from './codec-delay.ts';
import type { SubjectCommand } from './processes.ts';

/** Everything that can be measured. */
export const SUBJECTS = [
  'bridge',
  'bridge-24k',
  'bridge-recorded',
  'floor',
  'floor-fir',
  'floor-c++',
] as const;
export type SubjectName = (typeof SUBJECTS)[number];

/** One of them, ready to be started. */
export interface Subject {
  readonly name: SubjectName;
  readonly command: SubjectCommand;
  /** Of its webhook. */
  readonly path: string;
  /** By how much resampled audio comes out late, in samples at 8 kHz. */
  readonly codecDelay: number;
}

/** What signs webhooks. */
export const SECRET = 'c0ffee00c0ffee00c0ffee00c0ffee00';

const PATH = '/voice/twilio';

/** Where a subject runs. */
export interface SubjectPlace {
  readonly providerUrl: string;
  /** File with the certificate of the provider, if it speaks TLS. */
  readonly certificate: string | undefined;
  /** For what it writes. */
  readonly folder: string;
  /** What it has to take at once. */
  readonly calls: number;
}

/** Whether the relay in C++ can be built. */
export function hasCompiler(): boolean {
  return process.platform === 'linux' && spawnSync('g++', ['--version']).status === 0;
}

/** Path of the relay in C++. Throws when it cannot be built. */
function compiled(folder: string): string {
  const program = join(folder, 'relay');
  const source = fileURLToPath(new URL('../../../bench/floor/relay.cc', import.meta.url));
  const { status, stderr } = spawnSync('g++', ['-O2', '-std=c++17', '-o', program, source], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the relay in C++ cannot be built: ${stderr}`);
  return program;
}

/** How to start a subject. */
export function subjectOf(
  name: SubjectName,
  { providerUrl, folder, calls, certificate }: SubjectPlace,
): Subject {
  const env = {
    OPENAI_BASE_URL: providerUrl,
    ...(certificate === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificate }),
  };
  if (name === 'floor-c++') {
    const args = [new URL(providerUrl).port];
    return { name, command: { args, env, program: compiled(folder) }, path: PATH, codecDelay: 0 };
  }
  if (name === 'floor' || name === 'floor-fir') {
    const args = name === 'floor' ? ['calls-floor.js'] : ['calls-floor.js', 'fir'];
    return { name, command: { args, env }, path: PATH, codecDelay: name === 'floor' ? 0 : FLOOR_DELAY };
  }
  const isWide = name === 'bridge-24k';
  return {
    name,
    command: {
      // What is run in production, as it is run there.
      args: ['../src/cli.js', 'serve', '--port', '0', '--host', '127.0.0.1'],
      env: {
        ...env,
        PROVIDER: 'openai',
        OPENAI_API_KEY: 'sk-bench',
        AUDIO_PATH: isWide ? 'wideband' : 'passthrough',
        TWILIO_ACCOUNT_SID: `AC${'5'.repeat(32)}`,
        TWILIO_AUTH_TOKEN: SECRET,
        API_TOKEN: 'bench-token-bench-token',
        MAX_CALLS: String(calls + 10),
        DATA_DIR: `${folder}/${name}`,
        DRAIN_SECONDS: '0',
        ...(name === 'bridge-recorded' ? { RECORDING: 'bridge' } : {}),
      },
    },
    path: PATH,
    codecDelay: isWide ? RESAMPLER_DELAY_MS * 8 : 0,
  };
}
