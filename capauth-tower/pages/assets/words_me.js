// What only the page of a person's own says. It is imported before all that says it.

import { learn } from "./words.js";
import words from "./words.me.en.js";

learn(words);
