import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take long though they are short, as suites that run once for a runtime do. Without a record of earlier runs vitest begins
 * with the largest files, and these, the smallest, would be left for the end, one worker waiting for another.
 */
const LONG = [/\/crash\//, /\/bench\/run\./, /\/conformance(-[a-z]+)?\.test\.ts$/, /\/hostile\//];

/** The long files first, in that order; then as vitest has them. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((pattern) => pattern.test(moduleId));
      return at === -1 ? LONG.length : at;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}
