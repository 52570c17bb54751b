import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { decodeG711, encodeG711 } from '../src/audio/g711.ts';
import type { Terminal } from '../src/commands/command.ts';
import { countingModel } from '../src/commands/drill/counting-model.ts';
import { agentPresent, type Lexicon, makeLexicon, NUMBERS } from '../src/commands/drill/lexicon.ts';
import type { Ask } from '../src/commands/drill/stand-ins.ts';
import { missing, readWords, repeated } from '../src/commands/drill/words.ts';
import { drill } from '../src/commands/drill.ts';

let lexicon: Lexicon;

beforeAll(async () => {
  lexicon = await makeLexicon();
});

/** As a telephone makes it: samples at 8 kHz, in mu-law and back. */
function onThePhone(samples: Int16Array): Int16Array {
  return decodeG711('mulaw', encodeG711('mulaw', samples));
}

function joined(...pieces: readonly Int16Array[]): Int16Array {
  return Int16Array.from(pieces.flatMap((piece) => [...piece]));
}

const silence = (ms: number): Int16Array => new Int16Array(8 * ms);

function texts(samples: Int16Array): readonly string[] {
  return readWords(onThePhone(samples), lexicon.caller).map(({ text, part }) =>
    part === 'whole' ? text : `${text}:${part}`,
  );
}

describe('reading words out of a recording', () => {
  it('finds each word, in order, and where it is', () => {
    const said = joined(silence(333), lexicon.speech(['alpha', 'zulu', 'foxtrot']));
    expect(texts(said)).toEqual(['alpha', 'zulu', 'foxtrot']);
    const [first] = readWords(onThePhone(said), lexicon.caller);
    expect(first?.startMs).toBeCloseTo(333, -1);
  });

  it('tells a word that was cut off from one that is whole', () => {
    const half = (text: string, from: 0 | 1): Int16Array => {
      const word = lexicon.speech([text], 0);
      return word.subarray((from * word.length) / 2, ((from + 1) * word.length) / 2);
    };
    const cut = joined(lexicon.speech(['charlie']), half('delta', 0), silence(400), lexicon.speech(['echo']));
    expect(texts(cut)).toEqual(['charlie', 'delta:beginning', 'echo']);
    expect(texts(joined(half('november', 1), silence(400)))).toEqual(['november:end']);
  });

  it('takes the two halves of a word with a hole between them for the word', () => {
    const hotel = lexicon.speech(['hotel'], 0);
    const middle = hotel.length / 2;
    const torn = joined(hotel.subarray(0, middle), silence(300), hotel.subarray(middle), silence(200));
    expect(texts(torn)).toEqual(['hotel']);
  });

  it('takes noise for no word, and the same word by another voice for another one', () => {
    let state = 7;
    const noise = Int16Array.from({ length: 8000 }, () => {
      state = (state * 48_271) % 2_147_483_647;
      return (state % 16_000) - 8000;
    });
    expect(texts(noise)).toEqual([]);
    const three = lexicon.agents.filter(({ text }) => text === 'three');
    const voices = three.map(({ samples }) => readWords(onThePhone(samples), lexicon.agents)[0]?.voice);
    expect(voices).toEqual(three.map(({ voice }) => voice));
  });

  it('says what is missing and what came twice, and counts no part of a word', () => {
    const found = readWords(onThePhone(lexicon.speech(['golf', 'india', 'golf', 'kilo'])), lexicon.caller);
    expect(repeated(found)).toEqual(['golf']);
    expect(missing(['golf', 'hotel', 'kilo'], found)).toEqual(['hotel']);
    expect(
      missing(['golf'], [{ text: 'golf', voice: 'rms', startMs: 0, endMs: 1, part: 'beginning' }]),
    ).toEqual(['golf']);
  });

  it('knows a pause in a sentence from silence', () => {
    const sentence = lexicon.sentence(['seventeen', 'three'], 'slt');
    const at8k = Int16Array.from({ length: sentence.length / 3 }, (_, i) => sentence[3 * i] ?? 0);
    const present = agentPresent(onThePhone(joined(at8k, silence(400))));
    const inSentence = Math.floor(at8k.length / 160);
    expect(present.subarray(0, inSentence).every((frame) => frame === 1)).toBe(true);
    expect(present.subarray(inSentence + 1).some((frame) => frame === 1)).toBe(false);
  });
});

describe('the model of a drill', () => {
  const ask: Ask = {
    provider: 'openai',
    session: 0,
    kind: 'user-turn',
    instructions: '',
    said: [],
    text: '',
    knowsResult: false,
  };

  it('goes on after the number that it believes was said last', () => {
    const model = countingModel({ lexicon, voice: 'slt', atOnce: 2 });
    expect(model(ask).transcript).toBe('one two');
    expect(model({ ...ask, said: ['one two', 'three'] }).transcript).toBe('four five');
    expect(model({ ...ask, said: [NUMBERS.join(' ')] })).toEqual({});
  });

  it('says word for word what it is told to say, and calls its function once', () => {
    const model = countingModel({ lexicon, voice: 'slt', calls: 'look_up' });
    expect(model({ ...ask, text: 'Say this:\n-----\nHello.\n-----' }).transcript).toBe('hello');
    expect(model(ask).toolCalls).toMatchObject([{ name: 'look_up' }]);
    expect(model({ ...ask, knowsResult: true }).transcript).toMatch(/^one two/);
  });
});

describe('patchcord drill', () => {
  function terminal(): Terminal & { readonly said: () => string } {
    let said = '';
    return {
      env: {},
      isTty: false,
      out: (text) => {
        said += text;
      },
      err: () => undefined,
      onInterrupt: () => () => undefined,
      onStray: () => undefined,
      said: () => said,
    };
  }

  it('kills a provider, shows when who was heard, and leaves something to listen to', {
    timeout: 60_000,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchcord-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const screen = terminal();
    const options = ['--kill', 'while-caller-speaks', '--carrier', 'telnyx', '--providers', 'openai,gemini'];
    const status = await drill.run([...options, '--out', folder], screen);
    const text = screen.said();
    expect(text).toMatch(/ms {2}caller {2}“alpha bravo charlie delta echo foxtrot golf hotel”/);
    expect(text).toMatch(/ms {2}openai {2}killed while the caller speaks/);
    expect(text).toMatch(/ms {2}service notices that openai is gone \(PROVIDER_CLOSED\)/);
    expect(text).toMatch(/has taken over: connected in \d+ ms, .* replayed/);
    expect(text).toContain('no word was lost: all 8 words of the caller reached a provider');
    expect(text).toMatch(/the caller heard nothing for \d+ ms: .* ms are ours/);
    expect(status, text).toBe(0);
    for (const file of ['caller.wav', 'agent.wav', 'call.wav'])
      expect(existsSync(join(folder, file))).toBe(true);
    expect(readFileSync(join(folder, 'transcript.txt'), 'utf8')).toMatch(/agent {3}one two/);
  });

  it.each([
    [['--kill', 'tomorrow'], /--kill: found "tomorrow", wanted one of mid-sentence/],
    [['--carrier', 'pigeon'], /--carrier: found "pigeon", wanted one of twilio/],
    [['--providers', 'openai'], /--providers: found "openai", wanted two or three different ones of/],
    [['--providers', 'openai,openai'], /wanted two or three different ones/],
    [['--providers', 'openai,xai'], /--providers: found "xai", wanted one of openai, gemini, nova/],
  ])('says what is wrong with %j', async (argv, message) => {
    await expect(drill.run(argv, terminal())).rejects.toThrow(message);
  });
});
