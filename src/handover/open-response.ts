/** One piece of the agent's speech, as far as it has come. */
export interface OpenItem {
  bytes: number;
  /** All of its audio has come. */
  done: boolean;
  /** Characters of its text that were known when the last of the audio came. */
  characters: number;
  /** Audio that there was when they became more. */
  writtenAt: number;
}

/** What is known of one response that is not done. */
export interface OpenResponse {
  /** The bridge asked for it for reasons of its own: it answers nothing that the caller said. */
  readonly asked: boolean;
  readonly items: Map<string, OpenItem>;
  /** The caller did not want it. */
  over: boolean;
}
