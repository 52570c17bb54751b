import { describe, expect, it } from 'vitest';
import { sendAudio, silence, speech, start } from './support/gemini-client.ts';

describe('a turn of the caller', () => {
  it('is found in the audio, written down, and answered', async () => {
    await using line = await start(
      { keepAudio: true, respond: () => ({ audioMs: 500, transcript: 'Good evening to you.' }) },
      { inputAudioTranscription: {}, outputAudioTranscription: {} },
    );
    const { client } = line;
    sendAudio(client, Buffer.concat([silence(200), speech(600), silence(600)]));
    await client.next('turnComplete');
    await client.next('inputTranscription');
    expect(client.audio().length).toBe(24_000);
  });
});
