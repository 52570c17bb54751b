import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../src/log.ts';
import { emitModules } from './support/emit-modules.ts';

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

/** As processes have it: lines go out together, and yet none is kept back or lost. */
describe('the log on standard error', () => {
  let folder = '';

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'patchcord-log-'));
    emitModules(folder, ['src/log.ts']);
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    symlinkSync(fileURLToPath(new URL('../node_modules', import.meta.url)), join(folder, 'node_modules'));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(program: string): { readonly child: ChildProcess; until(ending: string): Promise<string> } {
    const source = `import { createLog } from ${JSON.stringify(join(folder, 'src/log.js'))};
      const log = createLog('info'); ${program}`;
    const args = ['--input-type=module', '-e', source];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let text = '';
    const until = async (ending: string): Promise<string> => {
      for await (const piece of child.stderr.setEncoding('utf8')) {
        text += piece;
        if (ending !== '' && text.includes(ending)) return text;
      }
      return text;
    };
    return { child, until };
  }

  const messages = (text: string): unknown[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { readonly msg: string }).msg);

  it('has a line out while the process goes on', async () => {
    const { child, until } = run(`log.info('first'); log.info('second'); process.stdin.resume();`);
    expect(messages(await until('second'))).toEqual(['first', 'second']);
    child.stdin?.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('has every line out when the process exits at once, in their order', async () => {
    const { until } = run(`for (let i = 0; i < 500; i++) log.info(String(i)); process.exit(3);`);
    expect(messages(await until(''))).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
  });

  it('has a fatal line out, and what came before it, when the process is killed after it', async () => {
    const { until } = run(`log.info('before'); log.fatal('worst'); process.kill(process.pid, 'SIGKILL');`);
    expect(messages(await until(''))).toEqual(['before', 'worst']);
  });
});
