/** What differs between the generations of Live models, as data. */
export interface Generation {
  readonly name: '2.5' | '3.1' | '3.8';
  /** `history`: only before the conversation, and only when the setup announced it with `historyConfig`. */
  readonly clientContent: 'any-time' | 'history';
  /** Turns of `clientContent` may have the role `system`. */
  readonly systemRole: boolean;
  readonly contextUpdate: boolean;
  /** What holds for functions that name no behaviour. */
  readonly behavior: 'BLOCKING' | 'NON_BLOCKING';
  /** Unsure for 3.1: the documentation names only blocking functions. */
  readonly nonBlocking: boolean;
  readonly affectiveDialog: boolean;
  readonly proactivityMayBeOff: boolean;
  readonly thinking: 'thinkingBudget' | 'thinkingLevel' | 'none';
  readonly mediaChunks: boolean;
  /** Several parts in one event and several things in one message. */
  readonly packs: boolean;
  /**
   * How tokens are told: in a message of their own, in one with an empty `serverContent` (livekit/agents#5251), or with
   * `turnComplete`.
   */
  readonly usage: 'alone' | 'empty-content' | 'with-turn';
  /** A function that answers with INTERRUPT is spoken about over the caller; otherwise the caller finishes first. */
  readonly talksOver: boolean;
  /** `interactionStatus` comes with `turnComplete`. */
  readonly interactionStatus: boolean;
}

const GENERATIONS: Readonly<Record<Generation['name'], Generation>> = {
  '2.5': {
    name: '2.5',
    clientContent: 'any-time',
    systemRole: true,
    contextUpdate: false,
    behavior: 'BLOCKING',
    nonBlocking: true,
    affectiveDialog: true,
    proactivityMayBeOff: true,
    thinking: 'thinkingBudget',
    mediaChunks: true,
    packs: false,
    usage: 'alone',
    talksOver: true,
    interactionStatus: false,
  },
  '3.1': {
    name: '3.1',
    clientContent: 'history',
    systemRole: false,
    contextUpdate: false,
    behavior: 'BLOCKING',
    nonBlocking: false,
    affectiveDialog: false,
    proactivityMayBeOff: true,
    thinking: 'thinkingLevel',
    mediaChunks: false,
    packs: true,
    usage: 'empty-content',
    talksOver: false,
    interactionStatus: false,
  },
  '3.8': {
    name: '3.8',
    clientContent: 'any-time',
    systemRole: false,
    contextUpdate: true,
    behavior: 'NON_BLOCKING',
    nonBlocking: true,
    affectiveDialog: false,
    proactivityMayBeOff: false,
    thinking: 'none',
    mediaChunks: false,
    packs: true,
    usage: 'with-turn',
    talksOver: false,
    interactionStatus: true,
  },
};

/** The generation that a model belongs to by its name; names that tell nothing are of the newest. */
export function generationOf(model: string): Generation {
  if (/-3\.1-/.test(model)) return GENERATIONS['3.1'];
  return /-2\.\d|live-2\.5/.test(model) ? GENERATIONS['2.5'] : GENERATIONS['3.8'];
}
