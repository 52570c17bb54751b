import { isRecord } from '../../is-record.ts';
import type { Line } from '../format.ts';

/** The call was held with this provider. */
export interface ProviderSpan {
  readonly provider: string;
  readonly model: string | undefined;
  readonly fromMs: number;
  toMs: number;
  /** `start`, `failover` or `renewal`. */
  readonly why: string;
  readonly connectMs: number;
}

/** A provider was tried in vain, or was lost. */
export interface ProviderFailure {
  readonly atMs: number;
  readonly provider: string;
  readonly phase: 'connecting' | 'in-call';
  readonly code: string;
  readonly ms: number;
}

/** What a model was told was heard of an answer. */
export interface Truncation {
  readonly atMs: number;
  readonly itemId: string;
  readonly heardMs: number;
}

/** Who held the call when. */
export function providerSpansOf(lines: readonly Line[], endMs: number): readonly ProviderSpan[] {
  const spans: ProviderSpan[] = [];
  for (const line of lines) {
    if (line.on !== 'call' || line.msg.type !== 'providerReady') continue;
    const { provider, model, why, connectMs } = line.msg;
    const last = spans.at(-1);
    if (last !== undefined) last.toMs = Math.min(last.toMs, line.t);
    spans.push({ provider, model, fromMs: line.t, toMs: endMs, why, connectMs });
  }
  for (const { atMs, provider, phase } of providerFailuresOf(lines)) {
    const lost = spans.find((span) => span.provider === provider && span.fromMs <= atMs && span.toMs >= atMs);
    if (lost !== undefined && phase === 'in-call') lost.toMs = atMs;
  }
  return spans;
}

/** Every provider that failed, in order. */
export function providerFailuresOf(lines: readonly Line[]): readonly ProviderFailure[] {
  return lines.flatMap((line) => {
    if (line.on !== 'call' || line.msg.type !== 'providerFailed') return [];
    const { provider, phase, code, ms } = line.msg;
    return [{ atMs: line.t, provider, phase, code, ms }];
  });
}

/** What models were told of how much was heard, of providers that can be told. */
export function truncationsOf(lines: readonly Line[]): readonly Truncation[] {
  return lines.flatMap((line) => {
    if (line.on !== 'provider' || line.dir !== 'out' || !('msg' in line)) return [];
    return truncations(line.t, line.msg);
  });
}

function truncations(atMs: number, msg: unknown): readonly Truncation[] {
  if (!isRecord(msg)) return [];
  const { item_id: itemId, audio_end_ms: heardMs, args } = msg;
  if (msg['type'] === 'conversation.item.truncate' && typeof itemId === 'string')
    return [{ atMs, itemId, heardMs: Number(heardMs) }];
  if (msg['call'] !== 'interrupt' || !Array.isArray(args) || !Array.isArray(args[0])) return [];
  return args[0].flatMap((item: unknown) => {
    if (!isRecord(item) || typeof item['itemId'] !== 'string') return [];
    return [{ atMs, itemId: item['itemId'], heardMs: Number(item['playedMs']) }];
  });
}
