import { expect } from 'vitest';
import type { Agent } from '../../src/agents.ts';
import { decodeG711, encodeG711 } from '../../src/audio/g711.ts';
import type { CallEvent } from '../../src/call-events.ts';
import type { HistoryItem, ProviderCapabilities } from '../../src/provider.ts';
import { createKit, type KitOptions } from './call-kit.ts';
import { ManualProvider } from './manual-provider.ts';
import { sentence } from './onsets.ts';
import { rms } from './signal.ts';

type EventOf<T extends CallEvent['type']> = Extract<CallEvent, { type: T }>;

/** A call that is up, and two more providers that may take it. */
export async function up(
  agent: Partial<Agent> = {},
  second: Partial<ProviderCapabilities> = {},
  options: KitOptions = {},
) {
  const b = new ManualProvider(undefined, second, 'second');
  const c = new ManualProvider(undefined, {}, 'third');
  const kit = createKit({ ...options, agent, others: [b, c] });
  const call = await kit.talk();
  const all = <T extends CallEvent['type']>(type: T): EventOf<T>[] =>
    kit.events.filter((event): event is EventOf<T> => event.type === type);
  return { ...kit, a: kit.provider, b, c, call, all };
}

export type Failover = Awaited<ReturnType<typeof up>>;

const SPEECH = encodeG711('mulaw', sentence('0870'));
const LOUD = frames(SPEECH).map((frame) => rms(Float64Array.from(decodeG711('mulaw', frame))) > 1000);

/** Of 20 ms. */
function frames(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.floor(bytes.length / 160) }, (_, i) =>
    bytes.subarray(i * 160, (i + 1) * 160),
  );
}

const SILENCE = new Uint8Array(160).fill(0xff);

/** What a provider was told of the past, one line an item. */
export function texts(history: readonly HistoryItem[] | undefined): string[] {
  return (history ?? []).map((item) =>
    item.type === 'tool' ? `tool ${item.name} ${item.output}` : `${item.role}: ${item.text}`,
  );
}

/** Without the line that says that the call goes on. */
export function said(history: readonly HistoryItem[] | undefined): string[] {
  const all = texts(history);
  expect(all.at(-1)).toMatch(/^system: You go on with a telephone call/);
  return all.slice(0, -1);
}

/** The agent answers the caller, or says what it was asked for; left open if there is more to come. */
export function speak(
  provider: ManualProvider,
  id: string,
  text: string,
  ms: number,
  open = false,
  asked = true,
): void {
  provider.emit({ type: 'responseStarted', responseId: `r-${id}`, asked });
  provider.emit({ type: 'transcript', role: 'assistant', itemId: id, text, final: !open });
  provider.emit({
    type: 'audio',
    responseId: `r-${id}`,
    itemId: id,
    bytes: new Uint8Array(ms * 8).fill(0x55),
  });
  if (open) return;
  provider.emit({ type: 'audioDone', responseId: `r-${id}`, itemId: id });
  provider.emit({ type: 'responseDone', responseId: `r-${id}`, status: 'completed', reason: undefined });
}

/** The caller says some of a sentence, in frames, while time goes by. */
export function say(kit: Failover, fromMs: number, toMs: number): void {
  for (const frame of frames(SPEECH).slice(fromMs / 20, toMs / 20)) {
    kit.clock.advance(20);
    kit.call.session.onLegEvent({ type: 'audio', bytes: frame, atMs: undefined });
  }
}

/** The caller says nothing, in frames, while time goes by. */
export function quiet(kit: Failover, ms: number): void {
  for (let at = 0; at < ms; at += 20) {
    kit.clock.advance(20);
    kit.call.session.onLegEvent({ type: 'audio', bytes: SILENCE, atMs: undefined });
  }
}

/** How much of what was loud in this part of the sentence a provider has, 0 to 1. */
export function share(provider: ManualProvider, fromMs: number, toMs: number): number {
  const given = Buffer.from(provider.audio);
  const loud = frames(SPEECH)
    .map((frame, i) => ({ frame, loud: LOUD[i] === true, at: i * 20 }))
    .filter((one) => one.loud && one.at >= fromMs && one.at < toMs);
  expect(loud.length).toBeGreaterThan(5);
  return loud.filter(({ frame }) => given.includes(Buffer.from(frame))).length / loud.length;
}
