import { createServer } from 'node:net';
import type { CallEvent } from '../../src/call-events.ts';
import type { CarrierName } from '../../src/carrier.ts';
import type { DrillFailover } from '../../src/commands/drill/stage.ts';
import type { StandIn, StandInName, StandInOptions } from '../../src/commands/drill/stand-ins.ts';
import type { Env } from '../../src/config.ts';
import { FIRST, type Scene } from './scene.ts';

/** What is done to providers in a call, and when. */

export interface Case {
  readonly name: string;
  readonly group: 'start' | 'mid-call';
  readonly providers: readonly StandInName[];
  readonly carrier?: CarrierName;
  readonly route?: 'voice' | 'events';
  readonly behaves?: Partial<Record<StandInName, Partial<StandInOptions>>>;
  readonly env?: (standIns: readonly StandIn[]) => Env;
  /** The model calls a function before it answers. */
  readonly tools?: boolean;
  /** How many numbers one answer has. */
  readonly numbers?: number;
  readonly failover?: DrillFailover;
  /** No provider fails. */
  readonly spares?: boolean;
  /** Until then nothing can be heard, whoever holds the call. */
  readonly waitsFor?: 'notice' | CallEvent['type'];
  act(scene: Scene): Promise<void>;
}

/** The caller speaks as soon as there is a line, and is answered. */
async function ask(scene: Scene): Promise<void> {
  await scene.says(FIRST.slice(0, 4));
  await scene.finish();
}

const AT_START = { group: 'start', act: ask, numbers: 3 } as const;

/** The faults that every simulator has, for whoever is the first. */
export function startCases(providers: readonly [StandInName, ...StandInName[]]): readonly Case[] {
  const [first] = providers;
  const status = (code: number): Case => ({
    ...AT_START,
    name: String(code),
    providers,
    behaves: { [first]: { faults: [{ when: { after: 'connect' }, do: 'http', status: code }] } },
  });
  return [
    {
      ...AT_START,
      name: 'cut while connecting',
      providers,
      behaves: { [first]: { faults: [{ when: { after: 'connect' }, do: 'drop' }] } },
    },
    status(401),
    status(429),
    status(500),
    {
      ...AT_START,
      name: 'handshake that never ends',
      providers,
      // The next one is dialled beside it, long before its time is over.
      failover: { hedgeSeconds: 0.5 },
      spares: true,
      behaves: { [first]: { faults: [{ when: { after: 'connect' }, do: 'stall' }] } },
    },
  ];
}

/** A port on which nobody listens. */
export async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 1;
}

/** Faults of the beginning that need OpenAI's simulator as the first; `dead` is a port on which nobody listens. */
export function openAiStartCases(dead: number): readonly Case[] {
  const providers = ['openai', 'gemini'] as const;
  return [
    {
      ...AT_START,
      name: 'refused',
      providers,
      env: () => ({ OPENAI_BASE_URL: `ws://127.0.0.1:${dead}/v1/realtime` }),
    },
    ...startCases(providers),
    {
      ...AT_START,
      name: 'TLS error',
      providers,
      // The other end speaks no TLS at all.
      env: ([first]) => ({ OPENAI_BASE_URL: first?.env['OPENAI_BASE_URL']?.replace('ws:', 'wss:') }),
    },
    {
      ...AT_START,
      name: 'close before ready',
      providers,
      behaves: { openai: { faults: [{ when: { after: 'session.created' }, do: 'close', code: 1011 }] } },
    },
    {
      ...AT_START,
      name: 'error after ready',
      providers,
      behaves: {
        openai: {
          openAiFaults: [
            {
              when: { after: 'session.updated' },
              do: 'error',
              error: 'server_error',
              close: { code: 1011 },
            },
          ],
        },
      },
    },
  ];
}

/** The caller has said their first words, and the agent has begun to answer. */
async function begun(scene: Scene, heardMs: number): Promise<void> {
  await scene.finish();
  await scene.says(FIRST);
  await scene.call.phone.untilHeard(20);
  await scene.pause(heardMs);
}

async function killedInMidSentence(scene: Scene): Promise<void> {
  await begun(scene, 1500);
  scene.kill();
  await scene.tookOver();
}

async function whileCallerSpeaks(scene: Scene, how: 'drop' | 'stall'): Promise<void> {
  await scene.finish();
  const spoken = scene.says(FIRST);
  await scene.call.phone.next('caller-speaking');
  await scene.pause(1200);
  scene.kill(how);
  await spoken;
  await scene.tookOver();
}

/** For a provider and those after it. */
export function midCallCases(
  providers: readonly [StandInName, StandInName],
  third: StandInName,
): readonly Case[] {
  const group = 'mid-call' as const;
  const [, second] = providers;
  const three = [...providers, third];
  return [
    { name: 'killed in mid-sentence', group, providers, numbers: 8, act: killedInMidSentence },
    {
      name: 'killed while the caller speaks',
      group,
      providers,
      act: (scene) => whileCallerSpeaks(scene, 'drop'),
    },
    {
      name: 'killed while a function runs',
      group,
      providers,
      tools: true,
      waitsFor: 'tool',
      async act(scene) {
        await scene.finish();
        await scene.says(FIRST);
        await scene.toolRunning;
        await scene.pause(200);
        scene.kill();
        await scene.tookOver();
      },
    },
    {
      name: 'killed between result and answer',
      group,
      providers,
      tools: true,
      waitsFor: 'tool',
      async act(scene) {
        await scene.finish();
        await scene.says(FIRST);
        await scene.call.event('tool');
        // It has the result, and would begin to speak after 200 ms.
        await scene.pause(60);
        scene.kill();
        await scene.tookOver();
      },
    },
    {
      name: 'the next one killed while it takes over',
      group,
      providers: three,
      numbers: 8,
      behaves: {
        [second]: {
          faults: [{ when: { after: second === 'gemini' ? 'setup' : 'session.created' }, do: 'drop' }],
        },
      },
      act: killedInMidSentence,
    },
    {
      name: 'both killed within a second',
      group,
      providers: three,
      numbers: 8,
      async act(scene) {
        await begun(scene, 1500);
        scene.kill();
        await scene.call.event('providerReady', ({ why }) => why === 'failover');
        await scene.pause(600);
        scene.kill();
        const died = scene.now();
        await scene.call.until(
          () =>
            scene.call.sessions.some(
              ({ openedMs, firstAudioMs }) =>
                openedMs - scene.call.placedMs > died && firstAudioMs !== undefined,
            ) || undefined,
        );
      },
    },
    {
      name: 'mute in mid-sentence: the socket lives',
      group,
      providers,
      numbers: 8,
      waitsFor: 'notice',
      async act(scene) {
        await begun(scene, 1500);
        scene.kill('mute');
        await scene.tookOver();
      },
    },
    {
      name: 'half-open: nothing comes any more',
      group,
      providers,
      waitsFor: 'notice',
      act: (scene) => whileCallerSpeaks(scene, 'stall'),
    },
  ];
}

/** Sessions that reach their longest time, one with a warning of its own and a handle, one without. */
export const LIMIT_CASES: readonly Case[] = [
  {
    name: 'session limit, gone on with by a handle (Gemini)',
    group: 'mid-call',
    providers: ['gemini', 'openai'],
    spares: true,
    behaves: { gemini: { sessionMs: 15_000, goAwayMs: 9_000 } },
    act: throughTheLimit,
  },
  {
    name: 'session limit, told anew (OpenAI)',
    group: 'mid-call',
    providers: ['openai', 'gemini'],
    spares: true,
    // The adapter begins five minutes before the end.
    behaves: { openai: { sessionMs: 308_000 } },
    act: throughTheLimit,
  },
];

async function throughTheLimit(scene: Scene): Promise<void> {
  await scene.finish();
  await scene.says(FIRST);
  await scene.call.event('providerReady', ({ why }) => why === 'renewal');
}
