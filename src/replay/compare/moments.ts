import type { Story } from '../../recording/story.ts';

/** What can be told of a call in one line. */
export const MOMENT_KINDS = [
  'caller',
  'agent',
  'function',
  'cut-in',
  'provider',
  'lost',
  'key',
  'end',
] as const;
export type MomentKind = (typeof MOMENT_KINDS)[number];

/** One thing that happened in a call, as people see it. */
export interface Moment {
  readonly kind: MomentKind;
  /** ms of the call. */
  readonly t: number;
  /** Words that were said, a function with its arguments and its result, a provider, a reason. */
  readonly text: string;
  /** Of an answer: how long the caller waited for it, from the end of their words; of a function: how long it took. */
  readonly ms: number | undefined;
}

/** What happened in a call, in order. */
export function momentsOf(story: Story): readonly Moment[] {
  const moments: Moment[] = [
    ...turns(story),
    ...functions(story),
    ...story.cutIns.map(({ clearMs, by }) => ({
      kind: 'cut-in' as const,
      t: clearMs,
      text: by === undefined ? 'the agent was cut off' : `the agent was cut off (noticed by: ${by})`,
      ms: undefined,
    })),
    ...providers(story),
    ...story.keys.map(({ atMs, key }) => ({ kind: 'key' as const, t: atMs, text: key, ms: undefined })),
  ];
  moments.sort((a, b) => a.t - b.t);
  const { end } = story;
  if (end !== undefined) moments.push({ kind: 'end', t: end.atMs, text: end.reason, ms: undefined });
  return moments;
}

function turns({ turns: all, answers }: Story): readonly Moment[] {
  const waits = new Map<string, number>();
  for (const { itemId, stoppedMs, heardMs } of answers) {
    if (itemId !== undefined && stoppedMs !== undefined && !waits.has(itemId)) {
      waits.set(itemId, heardMs - stoppedMs);
    }
  }
  return all.map(({ role, itemId, text, words, startMs, interrupted }) => {
    const heard = words.filter((word) => word.heard).map((word) => word.text);
    return {
      kind: role === 'user' ? 'caller' : 'agent',
      t: startMs,
      text: interrupted && words.length > 0 ? `${heard.join(' ')} […]`.trimStart() : text,
      ms: waits.get(itemId),
    };
  });
}

function functions({ functions: all }: Story): readonly Moment[] {
  return all.map(({ name, args, result, outcome, startMs, endMs }) => {
    const returned =
      outcome === undefined || outcome === 'done' ? json(result) : `${outcome} ${json(result)}`;
    const ms = endMs === undefined ? undefined : endMs - startMs;
    return { kind: 'function', t: startMs, text: `${name}(${json(args)}) → ${returned.trim()}`, ms };
  });
}

function providers({ spans, failures }: Story): readonly Moment[] {
  return [
    ...spans.map(({ provider, model, why, fromMs, connectMs }) => {
      const name = model === undefined ? provider : `${provider} (${model})`;
      return { kind: 'provider' as const, t: fromMs, text: `${name}, ${why}`, ms: connectMs };
    }),
    ...failures.map(({ provider, phase, code, atMs }) => ({
      kind: 'lost' as const,
      t: atMs,
      text: `${provider}, ${phase}: ${code}`,
      ms: undefined,
    })),
  ];
}

function json(value: unknown): string {
  return JSON.stringify(value) ?? '';
}
