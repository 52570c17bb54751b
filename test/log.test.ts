import { describe, expect, it } from 'vitest';
import { createLog } from '../src/log.ts';

describe('the log', () => {
  it('keeps numbers, words and secrets to itself', () => {
    const lines: string[] = [];
    const log = createLog('info', { write: (line: string) => lines.push(line) });
    const call = log.child({ callId: 'CA1' });
    call.info(
      {
        pii: { from: '+14155550100', text: 'my card is' },
        call: { pii: '+14155550101' },
        authorization: 'Bearer sk-1',
        provider: { apiKey: 'sk-2', authToken: 'sk-3', token: 'tok-4' },
      },
      'call answered',
    );
    const line = lines.join('');
    expect(line).toContain('"callId":"CA1"');
    expect(line).toContain('"msg":"call answered"');
    for (const secret of ['4155550100', '4155550101', 'my card', 'sk-1', 'sk-2', 'sk-3', 'tok-4']) {
      expect(line).not.toContain(secret);
    }
  });

  it('says nothing below its level', () => {
    const lines: string[] = [];
    createLog('warn', { write: (line: string) => lines.push(line) }).info('quiet');
    expect(lines).toEqual([]);
  });
});
