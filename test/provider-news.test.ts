import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { createLog } from '../src/log.ts';
import type { ProviderEvent, Usage } from '../src/provider.ts';
import { onProviderNews, type ProviderNews, usedEvent } from '../src/provider-news.ts';

type Used = Extract<ProviderEvent, { type: 'usage' }>;

const USAGE: Usage = {
  inputTextTokens: 1,
  inputAudioTokens: 2,
  cachedTextTokens: 3,
  cachedAudioTokens: 4,
  outputTextTokens: 5,
  outputAudioTokens: 6,
};

/** What becomes of news. */
class Desk {
  readonly counts = { providerErrors: 0, providerWarnings: 0 };
  readonly used: Used[] = [];
  readonly lines: Record<string, unknown>[] = [];
  readonly #options = {
    log: createLog('debug', { write: (line: string) => this.lines.push(JSON.parse(line)) }),
    onUsage: (event: Used) => this.used.push(event),
  };

  tell(event: ProviderNews): void {
    onProviderNews(event, this.#options, this.counts);
  }
}

describe('news of a provider', () => {
  it('counts every error, and leaves a fatal one to whoever looks for another provider', () => {
    const desk = new Desk();
    const minor = new BridgeError('PROVIDER_REJECTED', 'they said a secret');
    const fatal = new BridgeError('PROVIDER_CLOSED', 'gone');
    desk.tell({ type: 'error', error: minor, fatal: false });
    expect(desk.counts).toMatchObject({ providerErrors: 1 });
    // What the provider objects to may hold what people said.
    expect(desk.lines).toMatchObject([
      { level: 50, code: 'PROVIDER_REJECTED', pii: '[redacted]', msg: 'provider error' },
    ]);
    expect(JSON.stringify(desk.lines)).not.toContain('secret');
    desk.tell({ type: 'error', error: fatal, fatal: true });
    expect(desk.counts).toMatchObject({ providerErrors: 2 });
    // Whoever does says so.
    expect(desk.lines).toHaveLength(1);
  });

  it('of a session that is closed, or can be taken up again, is not its matter', () => {
    const desk = new Desk();
    desk.tell({ type: 'closed', expected: false, error: new BridgeError('PROVIDER_EXPIRED', 'over') });
    desk.tell({ type: 'expiring', inMs: 60_000 });
    desk.tell({ type: 'resumable', handle: 'a-handle' });
    expect(desk.counts).toMatchObject({ providerErrors: 0 });
    expect(desk.lines).toEqual([]);
  });

  it('that is no trouble is put down, and what it says in words is kept back', () => {
    const desk = new Desk();
    desk.tell({ type: 'warning', code: 'odd', message: 'they said a secret' });
    expect(desk.lines).toMatchObject([
      { level: 40, code: 'odd', pii: '[redacted]', msg: 'provider warning' },
    ]);
    expect(JSON.stringify(desk.lines)).not.toContain('secret');
    expect([desk.counts, desk.used]).toEqual([{ providerErrors: 0, providerWarnings: 1 }, []]);
  });

  it('of what was used is handed on as it is', () => {
    const desk = new Desk();
    const event: Used = { type: 'usage', usage: USAGE, model: 'a-helper', seconds: 3 };
    desk.tell(event);
    expect(desk.used).toEqual([event]);
    expect(desk.lines).toMatchObject([{ level: 20, usage: USAGE, msg: 'provider usage' }]);
    expect(desk.counts).toMatchObject({ providerErrors: 0 });
  });
});

describe('what was used, as an event of the call', () => {
  it('is that of the session and its model', () => {
    expect(usedEvent({ type: 'usage', usage: USAGE }, 'openai', 'gpt-realtime-2.1')).toEqual({
      type: 'usage',
      provider: 'openai',
      model: 'gpt-realtime-2.1',
      helper: false,
      usage: USAGE,
      seconds: undefined,
    });
  });

  it('is that of a helper under the name of the helper, and as long as it listened', () => {
    const event: Used = { type: 'usage', usage: USAGE, model: 'gpt-transcribe', seconds: 7 };
    expect(usedEvent(event, 'openai', 'gpt-realtime-2.1')).toEqual({
      type: 'usage',
      provider: 'openai',
      model: 'gpt-transcribe',
      helper: true,
      usage: USAGE,
      seconds: 7,
    });
  });

  it('has no model where a provider has none', () => {
    expect(usedEvent({ type: 'usage', usage: USAGE }, 'local', undefined)).toMatchObject({
      model: undefined,
      helper: false,
    });
  });
});
