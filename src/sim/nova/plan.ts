/** Sentences, each with its closing mark: `1.5 seconds` is not the end of one. */
export function sentencesOf(transcript: string): readonly string[] {
  const sentences = transcript.split(/(?<=[.!?…])\s+/).filter((sentence) => sentence !== '');
  return sentences.length === 0 ? [''] : sentences;
}
