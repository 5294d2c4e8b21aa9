// Fills blocks of memory and a map, and counts what is no longer what was written. Prints how many
// arguments it has, its own name among them, and that count.
package main

import (
	"fmt"
	"os"
)

func main() {
	blocks := make([][]byte, 20)
	for i := range blocks {
		blocks[i] = make([]byte, 1<<20)
		for at := range blocks[i] {
			blocks[i][at] = byte(i)
		}
		fmt.Fprintln(os.Stderr, "block", i, "for", os.Args[0])
	}
	words := map[string]int{}
	for i := range 60000 {
		words[fmt.Sprint("word ", i)] = i
	}
	wrong := 0
	for i, block := range blocks {
		for _, found := range block {
			if found != byte(i) {
				wrong++
			}
		}
	}
	for i := range 60000 {
		if words[fmt.Sprint("word ", i)] != i {
			wrong++
		}
	}
	fmt.Println(len(os.Args), wrong)
}
