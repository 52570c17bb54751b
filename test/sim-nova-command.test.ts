import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Terminal } from '../src/commands/command.ts';
import { simulate } from '../src/commands/simulate.ts';
import { NovaClient } from './support/nova-client.ts';

interface Running {
  readonly exit: Promise<number>;
  readonly url: Promise<string>;
  readonly written: { out: string; err: string };
  interrupt(): void;
}

function run(argv: readonly string[]): Running {
  const written = { out: '', err: '' };
  let interrupt = (): void => {};
  let listening: (url: string) => void = () => {};
  const url = new Promise<string>((resolve) => {
    listening = resolve;
  });
  const terminal: Terminal = {
    env: {},
    isTty: false,
    out: (text) => {
      written.out += text;
      const [, found] = /^listening on (\S+)\n/.exec(written.out) ?? [];
      if (found !== undefined) listening(found);
    },
    err: (text) => {
      written.err += text;
    },
    onStray: () => {},
    onInterrupt: (listener) => {
      interrupt = listener;
      return () => {};
    },
  };
  return { exit: simulate.run(['nova', ...argv], terminal), url, written, interrupt: () => interrupt() };
}

describe('patchcord simulate nova', () => {
  it('says where it listens, shows events without audio, and ends when it is interrupted', async () => {
    const running = run(['--first-audio-ms', '0', '--speed', '50', '--access-key-id', 'AKIATEST']);
    await using client = new NovaClient(await running.url);
    client.begin();
    client.text('USER', 'Talk.', true);
    await client.next('contentEnd', ({ stopReason }) => stopReason === 'END_TURN');
    client.finish();
    await client.ended;
    running.interrupt();
    expect(await running.exit).toBe(0);
    expect(running.written.err).toMatch(/^ {2}0 +0\.\d{3} ▶ sessionStart$/m);
    expect(running.written.err).toMatch(/◀ audioOutput$/m);
    expect(running.written.err).not.toContain('{');
  });

  it('plays the faults of a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nova-'));
    const file = join(folder, 'faults.json');
    await writeFile(
      file,
      JSON.stringify([{ when: { after: 'sessionStart' }, do: 'error', error: 'throttlingException' }]),
    );
    const running = run(['--quiet', '--faults', file]);
    await using client = new NovaClient(await running.url);
    client.begin();
    expect((await client.ended).error?.name).toBe('ThrottlingException');
    running.interrupt();
    await running.exit;
    expect(running.written.err).toBe('');
    await rm(folder, { recursive: true });
  });

  it.each([
    [['--tool-arguments', 'triple'], '--tool-arguments: found "triple", wanted single or double'],
    [['--endpoint-scale', '0'], 'endpoint-scale'],
    [['--speed', 'fast'], 'speed'],
    [['--loud'], 'loud'],
  ])('refuses %j', async (argv, message) => {
    await expect(run(argv).exit).rejects.toThrow(message);
  });

  it('tells in its help what to set', () => {
    expect(simulate.help).toContain('AWS_ENDPOINT_URL_BEDROCK_RUNTIME');
  });
});
