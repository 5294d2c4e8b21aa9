/* Counts lines, words and bytes as `wc` does: of the file that it is given, or of standard input.
   Leaves with 3 if it cannot. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    FILE *file = argc > 1 ? fopen(argv[1], "r") : stdin;
    if (file == NULL) {
        perror(argv[1]);
        return 3;
    }
    unsigned long lines = 0, words = 0, bytes = 0;
    int in_word = 0;
    for (int c; (c = getc(file)) != EOF; bytes++) {
        lines += c == '\n';
        words += !isspace(c) && !in_word;
        in_word = !isspace(c);
    }
    const char *name = getenv("COUNTED");
    printf("%lu %lu %lu %s\n", lines, words, bytes, name == NULL ? "-" : name);
    return ferror(file) ? 3 : 0;
}
