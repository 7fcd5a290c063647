// What only the administrators' page says. It is imported before all that says it.

import { learn } from "./words.js";
import words from "./words.admin.en.js";

learn(words);
