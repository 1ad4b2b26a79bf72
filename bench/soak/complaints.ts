// What was wrong in a soak, each kind once with how often it happened.

export class Complaints {
  readonly #counts = new Map<string, number>();

  add(complaint: string): void {
    this.#counts.set(complaint, (this.#counts.get(complaint) ?? 0) + 1);
  }

  lines(): string[] {
    return [...this.#counts].map(([complaint, count]) => (count === 1 ? complaint : `${complaint} (${count} times)`));
  }
}
