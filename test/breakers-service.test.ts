import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BridgeError, type ErrorCode } from '../src/errors.ts';
import { BLAME } from '../src/fallback/blame.ts';
import { Breakers } from '../src/fallback/breakers.ts';
import { createLog } from '../src/log.ts';
import { createMetrics } from '../src/metrics.ts';
import type { RealtimeProvider } from '../src/provider.ts';
import { tellBreaker } from '../src/server/breaker-news.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { API_TOKEN, operatedService, sidOf } from './support/operator.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** A provider that refuses everybody, with words that nobody else should read. */
function refusing(code: ErrorCode): RealtimeProvider {
  return {
    name: 'refusing',
    capabilities: new ManualProvider().capabilities,
    connect: () => Promise.reject(new BridgeError(code, 'found key sk-very-secret, wanted another')),
  };
}

interface Told {
  readonly level: number;
  readonly msg: string;
  readonly provider?: string;
  readonly why?: string;
  readonly pauseMs?: number;
}

/** Breakers with log and figures, as a service has them. */
function watched() {
  const clock = new VirtualClock();
  const metrics = createMetrics();
  const lines: string[] = [];
  const log = createLog('info', { write: (line: string) => lines.push(line) });
  const breakers = new Breakers({
    clock,
    random: () => 0.5,
    onChange: (report) => tellBreaker({ log, metrics }, report),
  });
  metrics.watchBreakers(() => breakers.report());
  const breaker = breakers.of(new ManualProvider());
  const told = (): Told[] => lines.map((line) => JSON.parse(line) as Told);
  return { clock, metrics, breaker, told };
}

describe('operators', () => {
  it('see at /readyz which provider is passed by, since when and why, and that calls are welcome all the same', async () => {
    const on = await operatedService({}, { provider: refusing('PROVIDER_AUTH') });
    expect((await on.ask('GET', '/readyz')).body).toEqual({
      status: 'ready',
      calls: 0,
      maxCalls: expect.any(Number),
      providers: [],
    });
    await on.signed(`${on.url}/voice/twilio`, {
      CallSid: sidOf(1),
      CallStatus: 'ringing',
      Direction: 'inbound',
    });
    await settled();
    const { status, body } = await on.ask('GET', '/readyz');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'ready',
      providers: [{ provider: 'refusing', state: 'open', why: 'PROVIDER_AUTH', forMs: expect.any(Number) }],
    });
    expect(JSON.stringify(body)).not.toContain('secret');
    // Open to everybody, as ever.
    expect((await fetch(`${on.url}/readyz`)).status).toBe(200);
    const figures = await fetch(`${on.url}/metrics`, { headers: { authorization: `Bearer ${API_TOKEN}` } });
    const text = await figures.text();
    expect(text).toContain('patchcord_breaker_state{provider="refusing"} 2');
    expect(text).toContain('patchcord_breaker_openings_total{provider="refusing",why="PROVIDER_AUTH"} 1');
    expect(text).toContain(
      'patchcord_provider_failures_total{provider="refusing",phase="connecting",code="PROVIDER_AUTH"} 1',
    );
    expect(on.log.filter((line) => line.includes('its breaker has opened'))).toHaveLength(1);
  });

  it('see that the next caller is not sent to a provider that is no good, and who has taken the call', async () => {
    const provider = new ManualProvider();
    let dialled = 0;
    const refuses = refusing('PROVIDER_QUOTA');
    const counted: RealtimeProvider = {
      ...refuses,
      connect: (...args) => {
        dialled += 1;
        return refuses.connect(...args);
      },
    };
    const on = await operatedService({}, { provider: [counted, provider] });
    for (const call of [1, 2, 3]) {
      const fields = { CallSid: sidOf(call), CallStatus: 'ringing', Direction: 'inbound' };
      await on.signed(`${on.url}/voice/twilio`, fields);
      await provider.ready();
    }
    expect(dialled).toBe(1);
    const figures = await fetch(`${on.url}/metrics`, { headers: { authorization: `Bearer ${API_TOKEN}` } });
    const lines = (await figures.text()).split('\n');
    expect(lines).toContain('patchcord_provider_sessions_total{provider="manual",why="start"} 3');
    expect(lines).toContain('patchcord_provider_connect_ms_count{provider="manual"} 3');
    expect(lines).toContain('patchcord_breaker_state{provider="refusing"} 2');
    expect(lines).toContain('patchcord_breaker_state{provider="manual"} 0');
  });

  it('read in the log that a breaker has opened, for how long, and how it went on', () => {
    const { clock, breaker, told } = watched();
    for (let time = 0; time < 3; time++) breaker.admit()?.failed('TIMEOUT');
    clock.advance(5000);
    const probe = breaker.admit();
    probe?.ready(100);
    probe?.answered();
    expect(told()).toMatchObject([
      {
        level: 40,
        msg: 'provider passed by: its breaker has opened',
        provider: 'manual',
        why: 'TIMEOUT',
        pauseMs: 5000,
      },
      {
        level: 30,
        msg: 'one call tries whether the provider works again',
        provider: 'manual',
        why: 'TIMEOUT',
      },
      { level: 30, msg: 'provider works again: its breaker has closed', provider: 'manual' },
    ]);
  });

  it('see in the figures how every breaker stands at this moment', async () => {
    const { clock, metrics, breaker } = watched();
    const state = async (): Promise<string | undefined> =>
      /^patchcord_breaker_state\{provider="manual"\} (\d)$/m.exec(await metrics.text())?.[1];
    expect(await state()).toBe('0');
    breaker.admit()?.failed('PROVIDER_QUOTA');
    expect(await state()).toBe('2');
    clock.advance(60_000);
    breaker.admit()?.ready(100);
    expect(await state()).toBe('1');
    // Nobody has asked the breaker since.
    clock.advance(15_000);
    expect(await state()).toBe('0');
    expect(await metrics.text()).toContain(
      'patchcord_breaker_openings_total{provider="manual",why="PROVIDER_QUOTA"} 1',
    );
  });

  it('see in the figures who answered, who did not, and what a change of provider cost the caller', async () => {
    const { metrics } = watched();
    metrics.providerFailed({ provider: 'one', phase: 'in-call', code: 'PROVIDER_CLOSED' });
    metrics.providerReady({
      provider: 'two',
      why: 'failover',
      connectMs: 420,
      historyItems: 7,
      replayedMs: 1300,
    });
    metrics.failedOver({ from: 'one', to: 'two', why: 'failover', gapMs: 900, addedMs: 12 });
    metrics.failedOver({ from: 'two', to: 'two', why: 'renewal', gapMs: 0, addedMs: 0 });
    metrics.lastResort('transfer');
    const text = await metrics.text();
    for (const line of [
      'patchcord_provider_failures_total{provider="one",phase="in-call",code="PROVIDER_CLOSED"} 1',
      'patchcord_provider_sessions_total{provider="two",why="failover"} 1',
      'patchcord_provider_connect_ms_bucket{le="300",provider="two"} 0',
      'patchcord_provider_connect_ms_bucket{le="500",provider="two"} 1',
      'patchcord_history_items_total{provider="two"} 7',
      'patchcord_replayed_speech_ms_total{provider="two"} 1300',
      'patchcord_failovers_total{from="one",to="two",why="failover"} 1',
      'patchcord_failovers_total{from="two",to="two",why="renewal"} 1',
      'patchcord_failover_gap_ms_bucket{le="0",why="renewal"} 1',
      'patchcord_failover_gap_ms_bucket{le="800",why="failover"} 0',
      'patchcord_failover_gap_ms_bucket{le="1000",why="failover"} 1',
      'patchcord_failover_added_ms_bucket{le="50",why="failover"} 1',
      'patchcord_last_resorts_total{type="transfer"} 1',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });
});

describe('docs/failover.md', () => {
  const page = readFileSync(new URL('../docs/failover.md', import.meta.url), 'utf8');
  const [, section = ''] = /\n## Circuit breakers\n(.*?)(?=\n## |$)/s.exec(page) ?? [];

  it('names the codes that open a breaker', () => {
    const codesOf = (row: string): string[] => {
      const cells = section.split('\n').find((line) => line.startsWith(`| ${row} |`)) ?? '';
      return [...cells.matchAll(/`([A-Z_]+)`/g)].map(([, code = '']) => code).toSorted();
    };
    const blamed = (blame: string): string[] =>
      Object.entries(BLAME)
        .flatMap(([code, found]) => (found === blame ? [code] : []))
        .toSorted();
    expect(codesOf('the credential')).toEqual(blamed('credential'));
    expect(codesOf('the provider')).toEqual(blamed('provider'));
    for (const code of codesOf('nobody that other calls would meet'))
      expect(blamed('nothing')).toContain(code);
  });

  it('names figures that there are, with their labels', async () => {
    const { metrics } = watched();
    const text = await metrics.text();
    const names = [...section.matchAll(/`(patchcord_\w+)/g)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) expect(text).toContain(`# TYPE ${name} `);
  });
});
